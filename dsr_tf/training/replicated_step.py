"""One training step on all replicas of a `tf.distribute` strategy.

Keras' `fit` runs one step at a time there, and without XLA (keras#19246).
Here many steps are one call, and a step on each replica is two compiled
functions with one exchange between them:

1. `_forward`: from a batch to everything that replicas must agree on, as
   one vector: gradients, new moving statistics, and what metrics count. (And
   what RigL needs of layers that store active weights only: see
   `dsr_tf.layers.candidates`.)
2. The sum of that vector over all replicas, one collective.
3. `_update`: from the sum to new variables.

So all that is stored stays equal to the bit on all replicas: moving
statistics too, which are those of the mean over replicas.
"""

import itertools
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf.core import after_update
from dsr_tf.layers.candidates.in_graph import CandidatesInGraph
from dsr_tf.layers.candidates.in_graph import catching


class Replicas:
    """A compiled Keras model, as its strategy's replicas train and test it.

    Args:
        model: Built in the scope of the strategy, and compiled, its optimizer
            built too. Of that, `update_step` is used for each variable, and
            the decay of weights.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model, self.strategy = model, model.distribute_strategy
        self._steps = model.steps_per_execution
        self._looking: list[CandidatesInGraph] = []
        # Keras looks at the metrics with their first batch.
        with keras.StatelessScope():
            outputs = tf.zeros([1, *model.output_shape[1:]])
            model.compute_metrics(None, tf.zeros([1], "int32"), outputs)
        jit_compile = model.jit_compile is True
        self._compiled_forward = tf.function(
            self._forward, jit_compile=jit_compile
        )
        self._compiled_update = tf.function(
            self._update, jit_compile=jit_compile
        )

    @property
    def metric_variables(self) -> list[keras.Variable]:
        return [v for metric in self.model.metrics for v in metric.variables]

    @tf.function(autograph=False)
    def train(self, iterator: Any) -> Any:
        """Run `steps_per_execution` steps.

        Args:
            iterator: Distributed iterator of batches, equal in size on all
                replicas.

        Returns:
            What metrics have counted over all replicas and steps, as one
            vector.
        """

        def step(number: Any, counted: Any) -> tuple[Any, Any]:
            counts = self.strategy.run(self._train_step, (next(iterator),))
            return number + 1, counted + self._any_of(counts)

        _, counted = tf.while_loop(
            lambda number, counted: number < self._steps,
            step,
            (0, tf.zeros([self._num_counts()])),
            parallel_iterations=1,
        )
        return counted

    @tf.function(autograph=False)
    def test(self, iterator: Any) -> Any:
        """Test a batch on every replica; as `train` otherwise."""

        def step(batch: Any) -> Any:
            counts = self._count_test(*batch)
            return tf.distribute.get_replica_context().all_reduce("sum", counts)

        return self._any_of(self.strategy.run(step, (next(iterator),)))

    def results(self, counted: np.ndarray) -> dict[str, float]:
        """Values of all metrics by name.

        Args:
            counted: Sum of what `train` or `test` returned, an array.
        """
        values = iter(_parts(counted, self.metric_variables))
        results = {}
        for metric in self.model.metrics:
            own = list(itertools.islice(values, len(metric.variables)))
            result = metric.stateless_result(own)
            if not isinstance(result, dict):
                result = {metric.name: result}
            results.update({k: float(v) for k, v in result.items()})
        return results

    def _any_of(self, per_replica: Any) -> Any:
        return self.strategy.experimental_local_results(per_replica)[0]

    def _num_counts(self) -> int:
        return sum(int(np.prod(v.shape)) for v in self.metric_variables)

    def _train_step(self, batch: Any) -> Any:
        """On one replica."""
        vector, states, arguments = self._compiled_forward(*batch)
        for candidates, own in zip(self._looking, arguments, strict=True):
            candidates.look(*own)
        replica = tf.distribute.get_replica_context()
        total = replica.all_reduce("sum", vector)
        # Mirrored variables are updated where all replicas meet.
        replica.merge_call(self._update_all, (total, states))
        return total[: self._num_counts()]

    def _update_all(
        self, strategy: Any, total: Any, states: dict[str, Any]
    ) -> None:
        strategy.extended.update(
            self.model.optimizer.iterations.value,
            lambda variable, *arguments: self._compiled_update(*arguments),
            (total, states),
        )

    def _forward(
        self, x: Any, y: Any
    ) -> tuple[Any, dict[str, Any], list[tuple[Any, Any, Any]]]:
        """What a batch gives: the vector, states that it changes, and what
        `_looking` look at."""
        model = self.model
        weights = [tf.convert_to_tensor(v) for v in model.trainable_variables]
        others = [*model.non_trainable_variables, *model.optimizer.variables]
        before = [tf.convert_to_tensor(v) for v in others]
        mapping = zip([*model.trainable_variables, *others], weights + before)
        with keras.StatelessScope(state_mapping=mapping) as scope:
            with tf.GradientTape() as tape:
                tape.watch(weights)
                outputs = model(x, training=True)
                loss = model.compute_loss(x, y, outputs, training=True)
            counts = self._count(x, y, outputs, loss)
        with catching() as caught:
            gradients = tape.gradient(
                loss,
                weights,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
        # The same in each tracing.
        self._looking = [candidates for candidates, _ in caught]
        after = [scope.get_current_value(v) for v in others]
        states = {
            str(index): new
            for index, (new, old) in enumerate(zip(after, before))
            if new is not old
        }
        floats = [value for _, value in _floats(states)]
        vector = _joined([*counts, *gradients, *floats])
        return vector, states, [arguments for _, arguments in caught]

    def _update(self, total: Any, states: dict[str, Any]) -> None:
        model, optimizer = self.model, self.model.optimizer
        weights, others = (
            model.trainable_variables,
            model.non_trainable_variables,
        )
        num_counts = self._num_counts()
        floats = [value for _, value in _floats(states)]
        parts = iter(_parts(total[num_counts:], [*weights, *floats]))
        gradients = [next(parts) for _ in weights]
        rate = optimizer.learning_rate
        # Keras' own, in `apply`, is for all replicas together.
        decay = (optimizer.weight_decay or 0) * rate
        for weight, gradient in zip(weights, gradients):
            if optimizer.weight_decay and optimizer._use_weight_decay(weight):
                weight.assign(weight - decay * weight)
            optimizer.update_step(gradient, weight, rate)
        for weight in weights:
            if weight.constraint is not None:
                weight.assign(weight.constraint(weight))
        for act in after_update.functions_of(optimizer):
            act()
        share = 1 / self.strategy.num_replicas_in_sync
        means = {name: next(parts) * share for name, _ in _floats(states)}
        for name, value in {**states, **means}.items():
            others[int(name)].assign(value)
        optimizer.iterations.assign_add(1)

    def _count_test(self, x: Any, y: Any) -> Any:
        # Without XLA, which would compile for every size of a batch.
        outputs = self.model(x, training=False)
        loss = self.model.compute_loss(x, y, outputs, training=False)
        loss = tf.where(tf.size(y) > 0, loss, 0.0)
        return _joined(self._count(x, y, outputs, loss))

    def _count(self, x: Any, y: Any, outputs: Any, loss: Any) -> list[Any]:
        """What a batch adds to the variables of the metrics."""
        variables = self.metric_variables
        zeros = [(v, tf.zeros(v.shape, v.dtype)) for v in variables]
        size = tf.cast(tf.shape(y)[0], "float32")
        # Keras' losses are for the sum over replicas.
        loss = loss * self.strategy.num_replicas_in_sync
        with keras.StatelessScope(state_mapping=zeros) as scope:
            self.model.metrics[0].update_state(loss, sample_weight=size)
            self.model.compute_metrics(x, y, outputs)
        return [scope.get_current_value(v) for v in variables]


def _floats(states: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Those of the states that are numbers to be averaged."""
    return [(k, v) for k, v in sorted(states.items()) if v.dtype.is_floating]


def _joined(tensors: Iterable[Any]) -> Any:
    flat = [tf.reshape(tf.cast(t, "float32"), [-1]) for t in tensors]
    return tf.concat(flat, axis=0)


def _parts(vector: Any, like: Sequence[Any]) -> list[Any]:
    sizes = [int(np.prod(v.shape)) for v in like]
    return [
        tf.reshape(part, v.shape)
        for part, v in zip(tf.split(vector, sizes), like)
    ]
