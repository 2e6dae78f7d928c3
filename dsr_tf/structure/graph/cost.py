"""What a network costs: parameters to store, and MACs to compute."""

import dataclasses
import math

import numpy as np

from dsr_tf.structure.graph.trace import Trace
from dsr_tf.structure.graph.trace import size_of


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        parameters: Number of weights that are made to be trained: kernels,
            biases, gammas and betas, frozen or not; no statistics.
        macs: Number of multiplications, each with the addition that follows
            it, of kernels for one example; an axis of unknown length counts
            as of length 1. (Some papers count two operations a MAC.)
    """

    parameters: int
    macs: int


# A number, and labels: the number times how many of each array are kept.
_Term = tuple[int, tuple[np.ndarray, ...]]


def terms_of(trace: Trace) -> tuple[list[_Term], list[_Term]]:
    """Parameters and MACs of a model, as sums of products.

    Returns:
        Two lists of a number and arrays of roots of labels. The parameters,
        and the MACs, are the sum of these numbers, each times how many of
        each of its arrays are kept.
    """
    parameters: list[_Term] = []
    macs: list[_Term] = [
        (constant, tuple(trace.labels.roots(x) for x in labels))
        for _, constant, labels in trace.work
    ]
    trained = {id(variable) for variable in trace.parameters}
    for weight in trace.weights.values():
        arrays = tuple(
            trace.labels.roots(labels) for _, labels in weight.axes.values()
        )
        size = size_of(weight)
        if id(weight.variable) in trained:
            parameters.append((size, arrays))
        if weight.num_uses:
            macs.append((size * weight.num_uses, arrays))
    rest = sum(
        math.prod(variable.shape)
        for variable in trace.parameters
        if id(variable) not in trace.weights
    )
    parameters.append((rest, ()))
    return parameters, macs


def total(terms: list[_Term], kept: np.ndarray) -> int:
    """The sum of products, `kept` saying which roots of labels stay."""
    return sum(
        constant * math.prod(int(kept[roots].sum()) for roots in arrays)
        for constant, arrays in terms
    )
