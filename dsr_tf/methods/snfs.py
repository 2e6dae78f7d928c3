"""SNFS: sparse networks from scratch, led by momentum."""

import dataclasses

from dsr_tf.methods import redistribute
from dsr_tf.methods.annealed import Annealed
from dsr_tf.methods.gradient_gate import GradientGate


@dataclasses.dataclass(frozen=True)
class SNFS(Annealed):
    """Sparse momentum (Dettmers & Zettlemoyer, 2019).

    Prunes the smallest weights of every kernel, gives each kernel a part of
    the growth in proportion to the mean momentum of its active weights, and
    grows the inactive weights of the largest momentum. In every step the
    optimizer accumulates the gradient of inactive weights too: a slot for
    every position, which counts towards memory but not towards the budget.
    The optimizer must have a momentum.

    Args:
        fraction: Share of the active weights of each kernel to move at the
            start, in (0, 1); 0.5 in the paper.
        end_step: Update from which nothing moves; the share falls to 0
            there along a cosine, in the paper at the end of training. None
            keeps the share constant.

    Raises:
        ValueError: if an argument is out of range.
    """

    fraction: float = 0.5
    flag_name = "snfs"

    def in_step(self, masked, trained):
        return GradientGate(self, masked, trained, every_step=True)

    def redistribute(self, total, kernels):
        return redistribute.by_momentum(
            total,
            [k.active_gradients for k in kernels],
            [k.num_free for k in kernels],
            [k.group_size for k in kernels],
        )
