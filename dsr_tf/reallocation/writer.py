"""Writing new masks and what follows from them, on the device."""

import keras
from keras import ops

from dsr_tf.reallocation import optimizer_slots


class Writer:
    """Stores new masks; weights that moved and their slots start afresh.

    Only masks go to the device. What moved is found there by comparison
    with the old ones, for all kernels in one compiled call where the
    backend is TensorFlow's.

    Args:
        masked: List of `MaskedWeight`.
        optimizer: The optimizer that holds the slots.
        dense_gradient: That of the method, see `Method.dense_gradient`.
    """

    def __init__(self, masked, optimizer, dense_gradient="never"):
        self._masked, self.optimizer = masked, optimizer
        self._dense_gradient = dense_gradient
        self._store = self._store_all
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self._store = tf.function(self._store_all)

    def __call__(self, masks):
        """Store the masks, a boolean array for each kernel."""
        self._store(
            [
                ops.convert_to_tensor(mask.reshape(weight.mask.shape))
                for weight, mask in zip(self._masked, masks, strict=True)
            ]
        )

    def _store_all(self, masks):
        for weight, mask in zip(self._masked, masks):
            before = ops.convert_to_tensor(weight.mask)
            moved = stale = ops.logical_xor(before, mask)
            if self._dense_gradient != "never":
                # Gradients were let through to all inactive weights.
                stale = ops.logical_or(moved, ops.logical_not(mask))
            # Or is such a gradient still to be accumulated?
            reset = moved if self._dense_gradient == "always" else stale
            weight.mask.assign(mask)
            self._start_afresh(weight, weight.kernel, stale, 0)
            for slot, fresh in optimizer_slots.slots(
                self.optimizer, weight.kernel
            ):
                self._start_afresh(weight, slot, reset, fresh)

    @staticmethod
    def _start_afresh(weight, variable, places, fresh):
        values = ops.convert_to_tensor(variable)
        places = weight.grouping.spread(places)
        variable.assign(
            ops.where(places, ops.cast(fresh, values.dtype), values)
        )
