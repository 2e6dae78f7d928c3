"""SNFS: sparse networks from scratch, led by momentum."""

import dataclasses
from typing import cast

import keras
import numpy as np

from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods import redistribute
from dsr_tf.methods.annealed import Annealed
from dsr_tf.methods.gradient_gate import GradientGate
from dsr_tf.methods.hook import InStepHook
from dsr_tf.methods.method import KernelView


@dataclasses.dataclass(frozen=True)
class SNFS(Annealed):
    """Sparse momentum (Dettmers & Zettlemoyer, 2019).

    Prunes the smallest weights of every kernel, gives each kernel a part of
    the growth in proportion to the mean momentum of its active weights, and
    grows the inactive weights of the largest momentum. In every step the
    optimizer accumulates the gradient of inactive weights too: a slot for
    every position, which counts towards memory but not towards the budget.
    The optimizer must have a momentum, and layers must store whole kernels.

    Args:
        fraction: Share of the active weights of each kernel to move at the
            start, in (0, 1); 0.5 in the paper.
        end_step: Update from which nothing moves; the share falls to 0
            there along a cosine, in the paper at the end of training, as
            `"auto"` has it. None keeps the share constant.
        start_step: The update at which it begins to fall.

    Raises:
        ValueError: if an argument is out of range.
    """

    fraction: float = 0.5
    flag_name = "snfs"
    dense_gradients = "always"

    def in_step(
        self, masked: list[MaskedWeight], trained: keras.Model
    ) -> InStepHook:
        return GradientGate(self, masked, trained, every_step=True)

    def redistribute(self, total: int, kernels: list[KernelView]) -> list[int]:
        return redistribute.by_momentum(
            total,
            [cast(np.ndarray, k.active_gradients) for k in kernels],
            [k.num_growable_groups for k in kernels],
            [k.group_size for k in kernels],
        )
