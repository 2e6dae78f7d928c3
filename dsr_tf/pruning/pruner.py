"""One pruning of a model: masks shrink, everything else follows."""

import keras
import numpy as np
from keras import ops

from dsr_tf.core import optimizer_slots
from dsr_tf.core.grouping import Grouping
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.storages import StoredVariable
from dsr_tf.pruning.rule import Candidate
from dsr_tf.pruning.rule import Rule
from dsr_tf.reallocation.agreement import Agreement
from dsr_tf.reallocation.device import NotFinite
from dsr_tf.reallocation.device import clear
from dsr_tf.reallocation.in_step import start_clean
from dsr_tf.reallocation.record import Moves
from dsr_tf.reallocation.record import Record
from dsr_tf.reallocation.state import ReallocationState


class Pruner:
    """Prunes the masked kernels of a model by a rule.

    Args:
        model: A built Keras model with masked layers.
        rule: A `dsr_tf.pruning.rule.Rule`.

    Raises:
        ValueError: if the model has no masked layers, or all are frozen, or
            the rule cannot prune its kernels.
    """

    def __init__(self, model: keras.Model, rule: Rule) -> None:
        self.masked = masked_weights(model)
        if not self.masked:
            raise ValueError(
                f"Model '{model.name}' has no masked layers. Use "
                "`dsr_tf.sparsify(model, 0.0)` to prune a dense model from."
            )
        self.trained = [weight for weight in self.masked if weight.trainable]
        if not self.trained:
            raise ValueError(
                f"All {len(self.masked)} masked kernels of model "
                f"'{model.name}' are frozen (trainable=False): there is none "
                "to prune."
            )
        rule.check(self.trained)
        for weight in self.trained:
            _check_stored(rule, weight)
        self.rule = rule
        self._agreement = Agreement(model, self.masked)

    @property
    def num_active(self) -> int:
        """Active weights of the kernels that are pruned."""
        return sum(weight.num_active for weight in self.trained)

    @property
    def _kernels(self) -> list[keras.Variable]:
        return [weight.kernel for weight in self.trained]

    def last_step(self, step: int) -> int:
        """The update after which was pruned last, 0 for none.

        Args:
            step: Number of updates so far. Where it is below that update, a
                new optimizer counts from 0, and the update is forgotten.
        """
        state = self.read_state()
        if state.last_step > step:
            state.last_step = 0
            state.write(self.masked)
        return state.last_step

    def check(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Refuse an optimizer that does not leave inactive weights at 0.

        Raises:
            ValueError: if `optimizer` is such a one.
        """
        optimizer_slots.check_optimizer(optimizer, self._kernels)

    def begin(
        self, optimizer: keras.optimizers.Optimizer, trained: keras.Model
    ) -> None:
        """Take away what another method may have left in the model.

        Args:
            optimizer: The optimizer whose slots belong to the weights.
            trained: The Keras model whose training function runs the steps.
        """
        start_clean(self.masked, optimizer, trained)

    def clear(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Set inactive weights to 0 and empty their slots."""
        clear(self.trained, optimizer)

    def read_state(self) -> ReallocationState:
        return ReallocationState.read(self.masked)

    def step(self, optimizer: keras.optimizers.Optimizer, step: int) -> Record:
        """Prune as the rule says; returns a `Record`.

        Args:
            optimizer: The optimizer whose slots belong to the weights.
            step: Number of updates so far.

        Raises:
            NotFinite: if weights hold NaN or infinity.
            ValueError: if the rule keeps what it may not, or nothing, or
                the optimizer does not train the kernels.
        """
        self._agreement.check()
        # Known only now, if the first step has built it.
        optimizer_slots.check_trains(optimizer, self._kernels)
        moves, thresholds = {}, set()
        for weight in self.trained:
            threshold, places = self._prune(weight, optimizer, step)
            thresholds.add(threshold)
            moves[weight.path] = Moves(places, grown=_none())
        state = self.read_state()
        state.num_reallocations += 1
        state.last_step = step
        state.write(self.masked)
        return Record(
            step=step,
            threshold=thresholds.pop() if len(thresholds) == 1 else None,
            pruned={
                weight.path: len(moves[weight.path].pruned) * weight.group_size
                for weight in self.trained
            },
            grown={weight.path: 0 for weight in self.trained},
            active={weight.path: weight.num_active for weight in self.trained},
            carry=0,
            moves=moves,
        )

    def _prune(
        self,
        weight: MaskedWeight,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> tuple[float | None, np.ndarray]:
        """Prune one kernel.

        Returns:
            The threshold, if there is one, and the places of what went.
        """
        grouping, groups, active = self._read(weight)
        if not np.isfinite(groups).all():
            raise NotFinite(
                f"the weights of {weight.path} hold numbers that are not "
                "finite: none can be pruned by them"
            )
        kept = self.rule.keep(
            Candidate(
                weight.path,
                groups,
                active,
                self._remembered(weight),
                grouping.pattern,
            ),
            step,
        )
        if kept is None:
            return None, _none()
        _check_mask(self.rule, kept.mask, active, weight.path)
        if kept.remembered is not None:
            self._remember(weight, kept.remembered)
        pruned = np.flatnonzero(active & ~kept.mask)
        if isinstance(weight.variable, StoredVariable):
            weight.variable.move(
                np.flatnonzero(kept.mask),
                optimizer_slots.slots(optimizer, weight.kernel),
            )
            return kept.threshold, pruned
        if grouping is weight.grouping:
            weight.mask.assign(kept.mask.reshape(grouping.mask_shape))
        else:
            mask = ops.convert_to_numpy(weight.mask)
            spread = np.repeat(kept.mask[:, None], grouping.group_size, axis=1)
            kept_too = grouping.ungroup(spread)
            pruned = np.flatnonzero(mask & ~kept_too)
            weight.mask.assign(mask & kept_too)
        groups[~kept.mask] = 0
        weight.kernel.assign(grouping.ungroup(groups))
        optimizer_slots.start_afresh(
            optimizer, weight.kernel, grouping, ~kept.mask
        )
        return kept.threshold, pruned

    def _read(
        self, weight: MaskedWeight
    ) -> tuple[Grouping, np.ndarray, np.ndarray]:
        """What is pruned as one, the weights of these groups, and which of
        them are active."""
        grouping = self.rule.grouping(weight)
        if weight.variable.is_stored:
            places, stored = weight.variable.places(), weight.variable.groups()
            groups = np.zeros(
                (grouping.num_groups, grouping.group_size), stored.dtype
            )
            groups[places] = stored
            return grouping, groups, grouping.mask_of(places).reshape(-1)
        groups = grouping.groups(ops.convert_to_numpy(weight.kernel).copy())
        mask = np.asarray(ops.convert_to_numpy(weight.mask))
        if grouping is weight.grouping:
            return grouping, groups, mask.reshape(-1)
        return grouping, groups, np.any(grouping.groups(mask), axis=1)

    def _remembered(self, weight: MaskedWeight) -> np.float32:
        """What the rule keeps of a kernel, 0 at the start."""
        if self.rule.memory is None:
            return np.float32(0)
        numbers = ops.convert_to_numpy(getattr(weight.layer, self.rule.memory))
        return numbers[weight.variable.index]

    def _remember(self, weight: MaskedWeight, number: np.float32) -> None:
        assert self.rule.memory is not None
        variable = getattr(weight.layer, self.rule.memory)
        numbers = ops.convert_to_numpy(variable).copy()
        numbers[weight.variable.index] = number
        variable.assign(numbers)


def _none() -> np.ndarray:
    """The places of no groups."""
    return np.zeros(0, "int64")


def _check_stored(rule: Rule, weight: MaskedWeight) -> None:
    """Refuse groups that cut through those that are stored.

    Raises:
        ValueError: if they do.
    """
    if weight.variable.is_stored:
        if rule.grouping(weight) is not weight.grouping:
            raise ValueError(
                f"{type(rule).__name__} prunes {weight.path} by other groups "
                "than those that it stores: store whole kernels. Received: "
                f"storage={weight.layer.storage!r}"
            )


def _check_mask(
    rule: Rule, mask: np.ndarray, active: np.ndarray, path: str
) -> None:
    """Refuse a mask that a rule must not give, see `Kept`."""
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != active.shape:
        given = f"a mask of {mask.dtype} and shape {mask.shape}"
    elif (mask & ~active).any():
        given = "a mask that keeps groups which are inactive"
    elif not mask.any() and active.any():
        given = "a mask that keeps nothing"
    else:
        return
    raise ValueError(
        f"A rule of pruning must keep some of the {active.sum()} active of "
        f"{active.size} groups of {path}, by booleans {active.shape}. "
        f"Received: {given} from {type(rule).__name__}"
    )
