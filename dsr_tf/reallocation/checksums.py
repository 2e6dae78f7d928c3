"""A checksum of every mask, computed where each replica is."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf.core.hashing import hash_of

_KEY = 0x5BD1E995


class Checksums:
    """Sums of hashes of the active places of masks, in one call.

    Args:
        strategy: The strategy whose replicas have the masks.
        masks: List of variables of booleans.
    """

    def __init__(self, strategy: Any, masks: list[keras.Variable]) -> None:
        self._strategy, self._masks = strategy, masks
        self._compute = tf.function(self._of_all)

    def __call__(self) -> np.ndarray:
        """int64 array `(replicas, masks)`; all workers must call it."""
        return self._compute().numpy()

    def _of_all(self) -> Any:
        local = self._strategy.experimental_local_results(
            self._strategy.run(self._of_replica)
        )
        return tf.concat(local, axis=0)

    def _of_replica(self) -> Any:
        sums = tf.stack([_checksum(mask) for mask in self._masks])[None]
        num_local = len(self._strategy.extended.worker_devices)
        if num_local < self._strategy.num_replicas_in_sync:
            replica = tf.distribute.get_replica_context()
            sums = replica.all_gather(sums, axis=0)
        return sums


def _checksum(mask: keras.Variable) -> Any:
    active = tf.reshape(tf.convert_to_tensor(mask), [-1])
    hashes = hash_of(tf.range(tf.size(active)), np.uint32(_KEY))
    hashes = tf.where(active, tf.cast(hashes, "int64"), np.int64(0))
    return tf.reduce_sum(hashes)
