"""One change of a model that grows and is pruned, exactly."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.batch import Batch
from dsr_tf.conversion.gradients import has_float16
from dsr_tf.core import draws
from dsr_tf.core import optimizer_slots
from dsr_tf.core.apportion import apportion
from dsr_tf.growth import bridges
from dsr_tf.growth import connections
from dsr_tf.growth import feature_maps
from dsr_tf.growth import measuring
from dsr_tf.growth import units
from dsr_tf.growth.draft import Draft
from dsr_tf.growth.gradients import dense_gradients
from dsr_tf.growth.hyperparameters import GRADIENT
from dsr_tf.growth.hyperparameters import GrowthHyperparameters
from dsr_tf.growth.planting import check_elements
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.masked_weights import refuse_stored
from dsr_tf.reallocation.agreement import Agreement
from dsr_tf.reallocation.device import clear
from dsr_tf.reallocation.in_step import start_clean
from dsr_tf.reallocation.record import Record
from dsr_tf.reallocation.state import ReallocationState
from dsr_tf.structure import Structure


class Grower:
    """Changes the masked kernels of a model by the policies of NeST.

    First so many changes grow; those after them prune, as long as the
    target holds. At one that finds it missed, nothing goes, and training
    has until the next to reach it again. Where it has not after `patience`
    of them, as many connections as have gone from each kernel since it last
    held wake by policy 1, and that is the end of it.

    Args:
        model: A built functional or Sequential model with masked layers,
            compiled with a loss.
        settings: The `GrowthHyperparameters`.
        data: Tuple `(x, y)` of arrays: the examples that growth and the
            target look at.
        metric: The `keras.metrics.Metric` of the target.

    Raises:
        ValueError: if the model is none of these.
    """

    def __init__(
        self,
        model: keras.Model,
        settings: GrowthHyperparameters,
        data: Any,
        metric: keras.metrics.Metric,
    ) -> None:
        self.trained = check_elements(model)
        refuse_stored(model, "GrowAndPrune")
        self.masked = masked_weights(model)
        self._model, self._settings = model, settings
        self._data, self._metric = data, metric
        self._structure = Structure(model)
        self._normalizations = [
            connections.normalization_of(self._structure, weight)
            for weight in self.trained
        ]
        self._agreement = Agreement(model, self.masked)

    @property
    def num_active(self) -> int:
        """Active weights of the kernels that change."""
        return sum(weight.num_active for weight in self.trained)

    @property
    def _kernels(self) -> list[keras.Variable]:
        return [weight.kernel for weight in self.trained]

    def check(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Refuse an optimizer that does not leave inactive weights at 0.

        Raises:
            ValueError: if `optimizer` is such a one, or connections would
                start from gradients that are scaled.
        """
        is_taken = self._settings.initial_value == GRADIENT
        if is_taken and has_float16(self._model):
            raise ValueError(
                "`initial_value` must be 'zero' with float16, in which "
                "gradients are scaled; or use bfloat16. Received: "
                f"initial_value={GRADIENT!r}"
            )
        optimizer_slots.check_optimizer(optimizer, self._kernels)

    def begin(
        self,
        optimizer: keras.optimizers.Optimizer,
        trained: keras.Model,
        seed: int | None,
    ) -> None:
        """Take away what another method has left, and settle the seed.

        Args:
            optimizer: The optimizer whose slots belong to the weights.
            trained: The Keras model whose training function runs the steps.
            seed: What draws depend on; None for the model's, or a fresh one.
        """
        start_clean(self.masked, optimizer, trained)
        state = self.read_state()
        state.seed = draws.check_seed(state.seed if seed is None else seed)
        state.write(self.masked)

    def clear(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Set inactive weights to 0 and empty their slots."""
        clear(self.trained, optimizer)

    def read_state(self) -> ReallocationState:
        return ReallocationState.read(self.masked, self._settings)

    def step(
        self, optimizer: keras.optimizers.Optimizer, step: int
    ) -> Record | None:
        """Make the next change.

        Args:
            optimizer: The optimizer whose slots belong to the weights.
            step: Number of updates so far.

        Returns:
            A `Record`; None where nothing was to change.

        Raises:
            ValueError: if the optimizer does not train the kernels.
        """
        self._agreement.check()
        # Known only now, if the first step has built it.
        optimizer_slots.check_trains(optimizer, self._kernels)
        state = self.read_state()
        draft = Draft(self.trained)
        state.num_reallocations += 1
        state.last_step = step
        if state.method_state["num_growths"] < self._settings.grow_steps:
            state.method_state["num_growths"] += 1
            self._grow(draft, optimizer, state)
        else:
            self._prune_or_wait(draft, state, step)
        state.write(self.masked)
        moves = draft.store(optimizer)
        pruned = {path: len(of_one.pruned) for path, of_one in moves.items()}
        grown = {path: len(of_one.grown) for path, of_one in moves.items()}
        if not any(pruned.values()) and not any(grown.values()):
            return None
        return Record(
            step=step,
            threshold=None,
            pruned=pruned,
            grown=grown,
            active={weight.path: weight.num_active for weight in self.trained},
            carry=0,
            moves=moves,
        )

    def _grow(
        self,
        draft: Draft,
        optimizer: keras.optimizers.Optimizer,
        state: ReallocationState,
    ) -> None:
        settings, batch = self._settings, Batch(self._data, self._model)
        count = state.num_reallocations
        hidden = self._with_dormant(draft)
        found = bridges.bridging(self._model, hidden, batch)
        connections.wake_largest(
            draft,
            dense_gradients(self._model, self.trained, batch),
            None,
            settings.grow_share,
            [self._rate(optimizer, weight) for weight in self.trained],
        )
        for stream, (one, bridge) in enumerate(zip(hidden, found)):
            asleep = np.flatnonzero(units.dormant(draft, one.units))
            bridges.wake_units(
                draft,
                one,
                asleep[: settings.neurons],
                bridge,
                settings.neuron_pairs,
                settings.birth_strength,
                draws.generator(state.seed or 0, count, stream),
            )
        if settings.feature_maps:
            self._grow_maps(draft, batch, state, len(hidden))

    def _with_dormant(self, draft: Draft) -> list[bridges.Hidden]:
        """Where policy 2 has units to wake."""
        if not self._settings.neurons:
            return []
        return [
            one
            for one in bridges.hidden_sets(self._structure)
            if one.lower.variable in draft
            and one.upper.variable in draft
            and units.dormant(draft, one.units).any()
        ]

    def _grow_maps(
        self, draft: Draft, batch: Batch, state: ReallocationState, stream: int
    ) -> None:
        settings = self._settings
        for found in feature_maps.map_sets(self._structure, draft):
            generator = draws.generator(
                state.seed or 0, state.num_reallocations, stream
            )
            stream += 1
            asleep = np.flatnonzero(units.dormant(draft, found))
            for unit in asleep[: settings.feature_maps].tolist():
                feature_maps.wake_map(
                    draft,
                    found,
                    unit,
                    settings.birth_strength,
                    settings.candidates,
                    generator,
                    lambda: measuring.loss_on(self._model, batch),
                )

    def _prune_or_wait(
        self, draft: Draft, state: ReallocationState, step: int
    ) -> None:
        settings, own = self._settings, state.method_state
        is_last = settings.end is not None and step >= settings.end
        if self._holds():
            own["num_misses"] = 0
            for weight in self.trained:
                _hold(weight, draft.num_active(weight.kernel))
            if is_last or not self._num_above_budget(draft):
                own["is_over"] = 1
            else:
                self._prune(draft)
        elif own["num_misses"] < settings.patience and not is_last:
            own["num_misses"] += 1
        elif is_last or any(_held(weight) for weight in self.trained):
            own["is_over"] = 1
            self._restore(draft)

    def _holds(self) -> bool:
        if self._settings.target is None:
            return True
        found = measuring.value_of(self._metric, self._model, self._data)
        return found >= self._settings.target

    def _prune(self, draft: Draft) -> None:
        for weight, normalization, count in zip(
            self.trained, self._normalizations, self._num_pruned(draft)
        ):
            scale = connections.scale_of(normalization)
            places = connections.smallest(draft, weight, count, scale)
            draft.prune(weight.kernel, places)
        units.remove_useless(draft, self._structure.sets)

    def _num_pruned(self, draft: Draft) -> list[int]:
        """The share of each kernel, or as many as the budget lets go."""
        active = [draft.num_active(weight.kernel) for weight in self.trained]
        counts = [round(self._settings.prune_share * n) for n in active]
        most = self._num_above_budget(draft)
        if sum(counts) <= most:
            return counts
        return apportion(most, active, [max(0, n - 1) for n in active])

    def _num_above_budget(self, draft: Draft) -> int:
        """Active weights that may still go."""
        active = sum(draft.num_active(weight.kernel) for weight in self.trained)
        return max(0, active - (self._settings.budget or 0))

    def _restore(self, draft: Draft) -> None:
        """As many connections as when the target last held."""
        missing = [
            max(0, _held(weight) - draft.num_active(weight.kernel))
            for weight in self.trained
        ]
        if any(missing):
            batch = Batch(self._data, self._model)
            gradients = dense_gradients(self._model, self.trained, batch)
            rates = [0.0] * len(missing)
            connections.wake_largest(draft, gradients, missing, 0.0, rates)

    def _rate(
        self, optimizer: keras.optimizers.Optimizer, weight: MaskedWeight
    ) -> float:
        """What a connection starts from, in its negative gradient."""
        if self._settings.initial_value != GRADIENT:
            return 0.0
        leaf = optimizer_slots.leaf_of(optimizer, weight.kernel)
        return float(ops.convert_to_numpy(leaf.learning_rate))


def _held(weight: MaskedWeight) -> int:
    """Active weights of a kernel when the target last held; 0 for never."""
    numbers = ops.convert_to_numpy(weight.layer.num_held)
    return int(numbers[weight.variable.index])


def _hold(weight: MaskedWeight, number: int) -> None:
    numbers = ops.convert_to_numpy(weight.layer.num_held).copy()
    numbers[weight.variable.index] = number
    weight.layer.num_held.assign(numbers)
