"""Do all replicas of a model have the same masks?"""

import keras

from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.reallocation.exchange import is_on_gpu


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
        self._masked, self._checksums = masked, None
        if keras.backend.backend() != "tensorflow":
            return
        strategy = model.distribute_strategy
        if strategy.num_replicas_in_sync > 1:
            # TensorFlow's alone, which other backends do without.
            from dsr_tf.reallocation.checksums import Checksums

            where = [weight.variable.unread for weight in masked]
            self._checksums = Checksums(strategy, where, is_on_gpu())

    def check(self) -> None:
        """Compare; all workers must call it.

        Raises:
            ReplicasDiffer: if two replicas do, naming the kernel.
        """
        if self._checksums is None:
            return
        for weight, sums in zip(self._masked, self._checksums().T):
            if len(set(sums.tolist())) > 1:
                raise ReplicasDiffer(
                    f"the masks of {weight.path} differ between replicas "
                    f"(checksums {', '.join(map(str, sums))}); something has "
                    "changed them on one device only"
                )
