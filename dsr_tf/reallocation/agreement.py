"""Do all replicas of a model have the same masks?"""

import keras
import numpy as np
from keras import ops

from dsr_tf.reallocation.hashing import hash_of

_KEY = 0x5BD1E995


class ReplicasDiffer(RuntimeError):
    """Replicas have come to have different masks; training is void."""


class Agreement:
    """Compares a checksum of every mask over the replicas of this process.

    The checksum, a sum of hashes of the active places, is computed where
    the replica is, for all masks in one call. Without a strategy that
    copies variables there is nothing to compare, and nothing is done.

    Args:
        masked: List of `MaskedWeight`.
    """

    def __init__(self, masked):
        self._masked, self._sums = masked, None
        if keras.backend.backend() != "tensorflow":
            return
        copies = [getattr(w.mask.value, "values", ()) for w in masked]
        if min(len(of_mask) for of_mask in copies) > 1:
            import tensorflow as tf

            self._sums = tf.function(
                lambda: [[_checksum(c) for c in of_mask] for of_mask in copies]
            )

    def check(self):
        """Compare.

        Raises:
            ReplicasDiffer: if two replicas do, naming the kernel.
        """
        if self._sums is None:
            return
        for weight, sums in zip(self._masked, self._sums()):
            sums = [int(ops.convert_to_numpy(total)) for total in sums]
            if len(set(sums)) > 1:
                raise ReplicasDiffer(
                    f"the masks of {weight.path} differ between replicas "
                    f"(checksums {', '.join(map(str, sums))}); something has "
                    "changed them on one device only"
                )


def _checksum(mask):
    import tensorflow as tf

    with tf.device(mask.device):
        active = tf.reshape(mask.read_value(), [-1])
        hashes = hash_of(tf.range(tf.size(active)), np.uint32(_KEY))
        hashes = tf.where(active, tf.cast(hashes, "int64"), np.int64(0))
        return tf.reduce_sum(hashes)
