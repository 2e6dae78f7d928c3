"""Weights that never move."""

import dataclasses
from typing import Any

import numpy as np

from dsr_tf.methods import prune
from dsr_tf.methods.method import KernelView
from dsr_tf.methods.method import Method


@dataclasses.dataclass(frozen=True)
class Static(Method):
    """Fixed random sparsity: weights never move (the paper's baseline)."""

    flag_name = "static"
    moves_weights = False
    keeps_patterns = True

    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        return [prune.none(kernel.scores) for kernel in kernels]
