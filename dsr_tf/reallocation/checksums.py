"""A checksum of where active weights are, computed on each replica."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf.core.hashing import hash_of
from dsr_tf.core.uncounted import uncounted

_KEY = 0x5BD1E995


class Checksums:
    """Sums of hashes of what says which groups are active, in one call.

    Args:
        strategy: The strategy whose replicas have the kernels.
        where: For each kernel, variables of booleans or integers.
        jit_compile: Whether XLA compiles the sums. On a GPU, TensorFlow's own
            operations would make the numbers of all places on the host.
    """

    def __init__(
        self,
        strategy: Any,
        where: list[list[keras.Variable]],
        jit_compile: bool = False,
    ) -> None:
        self._strategy, self._where = strategy, where
        self._sum = tf.function(
            uncounted(self._sum_all), jit_compile=jit_compile
        )
        self._compute = tf.function(uncounted(self._of_all))

    def __call__(self) -> np.ndarray:
        """int64 array `(replicas, kernels)`; all workers must call it."""
        return self._compute().numpy()

    def _of_all(self) -> Any:
        local = self._strategy.experimental_local_results(
            self._strategy.run(self._of_replica)
        )
        return tf.concat(local, axis=0)

    def _of_replica(self) -> Any:
        # XLA knows one device, so what passes between them is not part of it.
        sums = self._sum()[None]
        num_local = len(self._strategy.extended.worker_devices)
        if num_local < self._strategy.num_replicas_in_sync:
            replica = tf.distribute.get_replica_context()
            sums = replica.all_gather(sums, axis=0)
        return sums

    def _sum_all(self) -> Any:
        return tf.stack(
            [tf.add_n(list(map(_checksum, where))) for where in self._where]
        )


def _checksum(variable: keras.Variable) -> Any:
    values = tf.cast(tf.reshape(tf.convert_to_tensor(variable), [-1]), "int64")
    hashes = hash_of(tf.range(tf.size(values)), np.uint32(_KEY))
    return tf.reduce_sum(tf.cast(hashes, "int64") * values)
