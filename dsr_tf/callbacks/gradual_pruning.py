"""The callback that prunes a dense model during `model.fit`."""

import keras
from keras import ops

from dsr_tf.callbacks.replicas import check_replicas
from dsr_tf.layers import mask_density
from dsr_tf.pruning import PruningHyperparameters
from dsr_tf.pruning.pruner import Pruner


class GradualPruning(keras.callbacks.Callback):
    """Gradual magnitude pruning (Zhu & Gupta, 2017).

    The paper's "compressed sparse". Every `pruning_frequency` updates the
    smallest weights of each masked kernel become inactive, as many as a
    polynomial schedule says. Start from a model whose weights are all
    active, `dsr_tf.sparsify(model, 0.0)`, best a trained one.

    Names and defaults are those of `tf.contrib.model_pruning`. Unlike
    there, the number of weights that stay is exact, a pruned weight never
    returns (it is stored as 0), and its optimizer slots start afresh. A
    pruning takes place before the next batch once the number of updates
    has been reached, see `Reallocation`.

    At the end of each epoch `logs` gains `mask_density`.

    Args:
        hyperparameters: A `dsr_tf.pruning.PruningHyperparameters`, or a
            comma-separated list `name=value` of them; or give them by name:
        listener: Callable that receives the `Record` of each pruning.
        **by_name: Arguments of `PruningHyperparameters`.

    Raises:
        ValueError: if an argument is out of range; when training begins, if
            the model has no masked layers, blocks do not fit its kernels,
            or the optimizer cannot keep weights at 0.

    Example:

    >>> model = dsr_tf.sparsify(dense, 0.0)
    >>> model.compile("sgd", "mse")
    >>> pruning = dsr_tf.callbacks.GradualPruning(
    ...     target_sparsity=0.9,
    ...     pruning_frequency=100,
    ...     sparsity_function_end_step=2000)
    >>> model.fit(x, y, callbacks=[pruning])
    """

    def __init__(self, hyperparameters=None, listener=None, **by_name):
        super().__init__()
        if hyperparameters is None:
            hyperparameters = PruningHyperparameters(**by_name)
        elif by_name:
            raise ValueError(
                "Give `hyperparameters` or single ones by name, not both. "
                f"Received: {', '.join(by_name)} beside hyperparameters="
                f"{hyperparameters!r}"
            )
        elif isinstance(hyperparameters, str):
            hyperparameters = PruningHyperparameters.parse(hyperparameters)
        elif not isinstance(hyperparameters, PruningHyperparameters):
            raise ValueError(
                "`hyperparameters` must be a PruningHyperparameters or a "
                "comma-separated list of name=value. Received: "
                f"hyperparameters={hyperparameters!r}"
            )
        if listener is not None and not callable(listener):
            raise TypeError(
                "`listener` must be None or callable. "
                f"Received: listener={listener!r}"
            )
        self.hyperparameters, self.listener = hyperparameters, listener
        self._pruner, self._calls_to_skip = None, 0

    def check(self, model):
        """Refuse a compiled model that this callback cannot prune.

        Raises:
            ValueError: as described for the class.
        """
        self._pruner = Pruner(model, self.hyperparameters)
        self._pruner.check(model.optimizer)

    def on_train_begin(self, logs=None):
        self._pruner, self._calls_to_skip = None, 0
        check_replicas(self.model, self.params)
        if self.model.built:
            self.check(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self._calls_to_skip = 0

    def on_train_batch_begin(self, batch, logs=None):
        if self._calls_to_skip > 0:
            self._calls_to_skip -= 1
            return
        if self._pruner is None:
            if not self.model.built:
                return
            self.check(self.model)
        step = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        last_step = min(step, self._pruner.read_state().last_step)
        if self.hyperparameters.is_due(step, last_step):
            record = self._pruner.step(self.model.optimizer, step)
            last_step = step
            if self.listener is not None:
                self.listener(record)
        due = self.hyperparameters.next_due(step, last_step)
        if due is None:
            self._calls_to_skip = float("inf")
        else:
            per_call = self.model.steps_per_execution
            self._calls_to_skip = -(-(due - step) // per_call) - 1

    def on_epoch_end(self, epoch, logs=None):
        if logs is None or self._pruner is None:
            return
        logs["mask_density"] = mask_density(self._pruner.masked)
