"""Between the host, where reallocation is decided, and the device.

All masked kernels are seen as one long vector of groups. Only what a
decision needs leaves the device (the active weights, a tenth or less of
all), and only the decision goes back: the places of what moves. So on the
device, where there may be a queue of other work and every exchange costs a
wait, a reallocation is two calls.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core import optimizer_slots
from dsr_tf.core.uncounted import uncounted
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.reallocation.kernel import Kernel


class NotFinite(RuntimeError):
    """Weights or slots hold NaN or infinity; training is void."""


class Device:
    """Reads the masked kernels of a model and moves their groups.

    Args:
        masked: List of `MaskedWeight`.
        optimizer: The optimizer that holds the slots.
        gathers_gradients, keeps_gradients: Those of the `InStepHook`.
        only_alive: Whether of the gradients of inactive groups no more is
            asked than where they are not 0 (`Method.draws_alive`).
        jit_compile: Whether XLA compiles what moves the groups, for each
            replica.
    """

    def __init__(
        self,
        masked: list[MaskedWeight],
        optimizer: keras.optimizers.Optimizer,
        gathers_gradients: bool = False,
        keeps_gradients: bool = False,
        only_alive: bool = False,
        jit_compile: bool = False,
    ) -> None:
        # Its slots are part of the compiled calls, once there are any.
        self._was_built = optimizer.built
        self.optimizer = optimizer
        self._masked, self._gathers = masked, gathers_gradients
        self._keeps, self._only_alive = keeps_gradients, only_alive
        sizes = [weight.grouping.num_groups for weight in masked]
        self._ends = np.cumsum(sizes)
        self._starts = self._ends - sizes
        self._read, self._move = self._read_all, self._move_all
        self._start = self._start_all
        # XLA compiles for each number of places anew.
        self._one_size_fits_many = jit_compile
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self._read = tf.function(uncounted(self._read_all))
            places = tf.TensorSpec([None], "int32")
            if jit_compile:
                from dsr_tf.reallocation.xla import on_each_replica

                self._move = on_each_replica(
                    self._move_all, masked[0].mask, [places]
                )
            else:
                self._move = tf.function(
                    uncounted(self._move_all), input_signature=[places]
                )
            self._start = tf.function(
                uncounted(self._start_all),
                input_signature=[
                    tf.TensorSpec([None], "int32"),
                    tf.TensorSpec([None], "float32"),
                ],
            )

    def is_for(self, optimizer: keras.optimizers.Optimizer) -> bool:
        """Whether this knows the slots of an optimizer as it is now."""
        is_same = optimizer is self.optimizer
        return is_same and optimizer.built == self._was_built

    def read(self) -> list[Kernel]:
        """The kernels as they are, a list of `Kernel`."""
        active, scores, gradients, every, is_finite = map(
            _as_array, self._read()
        )
        ends = np.searchsorted(active, self._ends)
        self._check_finite(scores, "weights", ends)
        if is_finite is not None and not is_finite:
            self._check_finite(
                _as_array(self._gradients()), "slots", self._ends
            )
        return [
            Kernel(
                weight,
                places,
                own_scores,
                weight.grouping.num_groups - len(places),
                start,
                own_gradients,
                _of_free(own, places - start),
            )
            for weight, start, places, own_scores, own_gradients, own in zip(
                self._masked,
                self._starts.tolist(),
                _parts(active, ends),
                _parts(scores, ends),
                _parts(gradients, ends),
                _parts(every, self._ends),
            )
        ]

    def move(self, kernels: list[Kernel]) -> None:
        """Store new masks; moved weights and their slots start afresh.

        Where gradients of inactive weights were let through, those weights
        are set back to 0 as well, and their slots too unless the method
        goes on accumulating them.

        Args:
            kernels: What `read` returned, with `pruned` and `grown` set.
        """
        parts = [
            kernel.start + part
            for kernel in kernels
            for part in (kernel.moves.pruned, kernel.moves.grown)
        ]
        places = np.concatenate(parts, dtype="int32")
        if self._one_size_fits_many:
            places = _padded(places)
        self._move(ops.convert_to_tensor(places))
        starts = [
            (kernel.start + kernel.moves.grown, kernel.start_values)
            for kernel in kernels
            if kernel.start_values is not None
        ]
        if starts:
            at, values = map(np.concatenate, zip(*starts))
            self._start(
                ops.convert_to_tensor(at.astype("int32")),
                ops.convert_to_tensor(values.astype("float32")),
            )

    def _check_finite(
        self, values: np.ndarray, what: str, ends: np.ndarray
    ) -> None:
        if np.isfinite(values).all():
            return
        first = np.flatnonzero(~np.isfinite(values))[0]
        path = self._masked[np.searchsorted(ends, first, side="right")].path
        raise NotFinite(
            f"the {what} of {path} hold numbers that are not finite "
            f"({values[first]:g}): nothing can be moved by them"
        )

    def _read_all(self) -> tuple[Any, Any, Any, Any, Any]:
        mask = ops.concatenate(
            [ops.reshape(weight.mask, (-1,)) for weight in self._masked]
        )
        active = ops.nonzero(mask)[0]
        scores = self._scores([weight.kernel for weight in self._masked])
        found = ops.cast(active, "int32"), ops.take(scores, active)
        if not self._gathers:
            return *found, None, None, None
        gradients = self._gradients()
        of_active = ops.take(gradients, active)
        is_finite = ops.all(ops.isfinite(gradients))
        # Most groups are inactive: to pick their gradients here would take
        # longer than to bring all, and to pick them on the host. What is asked
        # of them is brought, a byte or four for each.
        every = gradients > 0 if self._only_alive else gradients
        return *found, of_active, every, is_finite

    def _gradients(self) -> Any:
        return self._scores(
            [self._accumulated(weight.kernel) for weight in self._masked]
        )

    def _scores(self, variables: Sequence[keras.Variable]) -> Any:
        return ops.concatenate(
            [
                weight.grouping.scores_of(variable)
                for weight, variable in zip(self._masked, variables)
            ]
        )

    def _accumulated(self, kernel: keras.Variable) -> keras.Variable:
        # An optimizer without any memory leaves the gradient, times the
        # learning rate, in inactive weights themselves.
        slot = optimizer_slots.accumulated_gradient(self.optimizer, kernel)
        return kernel if slot is None else slot

    def _move_all(self, places: Any) -> None:
        moved = ops.scatter(
            ops.expand_dims(places, 1),
            ops.ones_like(places, "float32"),
            (int(self._ends[-1]),),
        )
        moved = moved > 0
        for weight, start, end in zip(
            self._masked, self._starts.tolist(), self._ends.tolist()
        ):
            part = ops.reshape(moved[start:end], weight.mask.shape)
            self._move_one(weight, part)

    def _start_all(self, places: Any, values: Any) -> None:
        """Let weights that have just grown, and are 0, have other values."""
        whole = ops.scatter(
            ops.expand_dims(places, 1), values, (int(self._ends[-1]),)
        )
        for weight, start, end in zip(
            self._masked, self._starts.tolist(), self._ends.tolist()
        ):
            part = ops.reshape(whole[start:end], weight.mask.shape)
            kernel = ops.convert_to_tensor(weight.kernel)
            part = ops.cast(weight.grouping.spread(part), kernel.dtype)
            weight.kernel.assign(kernel + part)

    def _move_one(self, weight: MaskedWeight, moved: Any) -> None:
        mask = ops.logical_xor(ops.convert_to_tensor(weight.mask), moved)
        stale = moved
        if self._gathers:
            # Gradients were let through to all inactive weights.
            stale = ops.logical_or(moved, ops.logical_not(mask))
        # Slots that go on gathering gradients keep what they have.
        reset = moved if self._keeps else stale
        weight.mask.assign(mask)
        _start_all_afresh(weight, self.optimizer, stale, reset)


def clear(
    masked: list[MaskedWeight], optimizer: keras.optimizers.Optimizer
) -> None:
    """Let inactive weights be 0 and their slots as if never used.

    Args:
        masked: List of `MaskedWeight`.
        optimizer: The optimizer that holds the slots.
    """
    for weight in masked:
        if weight.variable.is_stored:
            continue  # What is stored is active, or an empty slot.
        inactive = ops.logical_not(ops.convert_to_tensor(weight.mask))
        _start_all_afresh(weight, optimizer, inactive, inactive)


def _padded(places: np.ndarray) -> np.ndarray:
    """The same places, the last of them repeated up to a power of two."""
    if not len(places):
        return places
    size = 1 << (len(places) - 1).bit_length()
    return np.pad(places, (0, size - len(places)), mode="edge")


def _start_all_afresh(
    weight: MaskedWeight,
    optimizer: keras.optimizers.Optimizer,
    stale: Any,
    reset: Any,
) -> None:
    """Set stale weights to 0, and slots to what they start from."""
    _start_afresh(weight, weight.kernel, stale, 0)
    for slot, fresh in optimizer_slots.slots(optimizer, weight.kernel):
        _start_afresh(weight, slot, reset, fresh)


def _start_afresh(
    weight: MaskedWeight, variable: keras.Variable, places: Any, fresh: float
) -> None:
    values = ops.convert_to_tensor(variable)
    places = weight.grouping.spread(places)
    variable.assign(ops.where(places, ops.cast(fresh, values.dtype), values))


def _as_array(values: Any) -> Any:
    # A view where the device is the host: millions of numbers are not copied.
    return None if values is None else np.asarray(values)


def _of_free(every: np.ndarray | None, active: np.ndarray) -> np.ndarray | None:
    """Of what is known of each group of a kernel, that of inactive ones.

    Args:
        every: Array `(num_groups,)`, or None. Booleans may come back as a
            view of one, not to be written to.
        active: Integers, the places of the active groups.
    """
    if every is None:
        return None
    if every.dtype == bool:
        num_free = len(every) - len(active)
        num_alive = np.count_nonzero(every) - np.count_nonzero(every[active])
        if num_alive == num_free:
            # As it is nearly always, and listing them is what takes time.
            return np.broadcast_to(np.True_, num_free)
    return np.delete(every, active)


def _parts(values: np.ndarray | None, ends: np.ndarray) -> list[Any]:
    """`values` cut at these ends, or Nones."""
    if values is None:
        return [None] * len(ends)
    return np.split(values, ends[:-1])
