"""Sparse evolutionary training."""

import dataclasses

from dsr_tf.core.checks import check_fraction
from dsr_tf.methods import prune
from dsr_tf.methods.method import Method


@dataclasses.dataclass(frozen=True)
class SET(Method):
    """Sparse evolutionary training (Mocanu et al., 2018).

    Prunes the same fraction of the active weights of every kernel, the
    smallest, and grows as many in the same kernel at random: the number of
    active weights of a kernel never changes. As in the DSR authors' code
    there is no split by sign. A kernel that is nearly full moves no more
    than it has room for.

    Args:
        fraction: Share of the active weights to move in a step, in (0, 1).

    Raises:
        ValueError: if `fraction` is out of range.
    """

    fraction: float = 0.3

    def __post_init__(self):
        check_fraction(self.fraction)

    def prune(self, kernels, state, step):
        return [
            prune.smallest(
                kernel.scores,
                min(round(self.fraction * kernel.num_active), kernel.num_free),
            )
            for kernel in kernels
        ]
