"""Branches of residual networks that let nothing through."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.structure.graph.branches import branches
from dsr_tf.structure.graph.structure import Structure


def zero_branches(model: keras.Model) -> list[str]:
    """The branches that give the same whatever comes in.

    One of the kernels that the branch is a chain of is all 0. If that is
    the last one, without a bias or normalization behind it, the branch gives
    0, and the network without it, see `drop_branches`, computes the same;
    else a constant is lost.

    Args:
        model: A built functional or Sequential model, masked or not.

    Returns:
        Names of `branches(model)`, in their order.

    Raises:
        ValueError: if Keras does not know the model's graph of layers.
    """
    empty = {
        weight.layer
        for weight in Structure(model).trace.weights.values()
        if "in" in {role for role, _ in weight.axes.values()}
        and not np.any(ops.convert_to_numpy(weight.variable))
    }
    return [
        branch.name
        for branch in branches(model)
        if empty.intersection(branch.layers)
        and all(map(_is_link, branch.layers))
    ]


def _is_link(operation: Any) -> bool:
    """Whether something is called on one tensor only."""
    return all(len(n.input_tensors) == 1 for n in operation._inbound_nodes)
