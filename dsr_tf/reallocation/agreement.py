"""Do all replicas of a model have the same masks?"""

from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core.hashing import hash_of
from dsr_tf.layers.masked_weights import MaskedWeight

_KEY = 0x5BD1E995


class ReplicasDiffer(RuntimeError):
    """Replicas have come to have different masks; training is void."""


class Agreement:
    """Compares a checksum of every mask over all replicas and workers.

    The checksum, a sum of hashes of the active places, is computed where
    the replica is, for all masks in one call. With one replica there is
    nothing to compare, and nothing is done.

    Args:
        model: The model; its strategy says where replicas are.
        masked: List of its `MaskedWeight`.
    """

    def __init__(self, model: keras.Model, masked: list[MaskedWeight]) -> None:
        self._masked, self._sums = masked, None
        if keras.backend.backend() != "tensorflow":
            return
        self._strategy = model.distribute_strategy
        if self._strategy.num_replicas_in_sync > 1:
            import tensorflow as tf

            self._sums = tf.function(self._sums_of_all)

    def check(self) -> None:
        """Compare; all workers must call it.

        Raises:
            ReplicasDiffer: if two replicas do, naming the kernel.
        """
        if self._sums is None:
            return
        rows = ops.convert_to_numpy(self._sums())
        for weight, sums in zip(self._masked, rows.T):
            if len(set(sums.tolist())) > 1:
                raise ReplicasDiffer(
                    f"the masks of {weight.path} differ between replicas "
                    f"(checksums {', '.join(map(str, sums))}); something has "
                    "changed them on one device only"
                )

    def _sums_of_all(self) -> Any:
        """int64 tensor `(replicas, masks)`."""
        import tensorflow as tf

        local = self._strategy.experimental_local_results(
            self._strategy.run(self._sums_of_replica)
        )
        return tf.concat(local, axis=0)

    def _sums_of_replica(self) -> Any:
        import tensorflow as tf

        sums = tf.stack([_checksum(w.mask) for w in self._masked])[None]
        num_local = len(self._strategy.extended.worker_devices)
        if num_local < self._strategy.num_replicas_in_sync:
            replica = tf.distribute.get_replica_context()
            sums = replica.all_gather(sums, axis=0)
        return sums


def _checksum(mask: keras.Variable) -> Any:
    import tensorflow as tf

    active = tf.reshape(tf.convert_to_tensor(mask), [-1])
    hashes = hash_of(tf.range(tf.size(active)), np.uint32(_KEY))
    hashes = tf.where(active, tf.cast(hashes, "int64"), np.int64(0))
    return tf.reduce_sum(hashes)
