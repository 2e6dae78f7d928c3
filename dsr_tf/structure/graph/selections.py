"""Channels that a layer reads of what there is, and leaves for others.

Where channels cannot go, since others read or add to them, a layer may still
read fewer: an operation `keras.ops.take` before it selects them. So Network
Slimming (Liu et al., 2017) lets the normalization that opens a branch of a
pre-activation network choose from the stream.
"""

import keras
import numpy as np

from dsr_tf.structure.graph.labels import FIXED
from dsr_tf.structure.graph.trace import Trace
from dsr_tf.structure.rules.registry import kind_of

# Those whose rules ask `Call.selected`.
_READERS = (
    keras.layers.BatchNormalization,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
)


def trace_with_selections(model: keras.Model, whole_groups: bool) -> Trace:
    """The trace of a model with selections wherever they are of use."""
    plain = Trace(model, whole_groups=whole_groups)
    selecting = _candidates(plain)
    while True:
        trace = Trace(model, frozenset(selecting), whole_groups)
        useless = _useless(trace, plain)
        if not useless:
            return trace
        selecting -= useless


def _candidates(trace: Trace) -> set[int]:
    """Nodes of layers that read channels which do not go for them alone."""
    times: dict[int, int] = {}
    for node, _ in trace.calls:
        key = id(node.operation)
        times[key] = times.get(key, 0) + 1
    found = set()
    for node, inputs in trace.calls:
        # What is called several times would have to select the same.
        if times[id(node.operation)] > 1 or len(inputs) != 1:
            continue
        if kind_of(node.operation) in _READERS and inputs[0].labels.size:
            found.add(id(node))
    return found


def _useless(trace: Trace, plain: Trace) -> set[int]:
    """Nodes before which a selection is not one, or does not save anything."""
    # What is made, or added to others, is not for one layer to choose.
    others = _made(trace) | trace.labels.sums() | {FIXED}
    sums = list(plain.labels.sums())
    useless = set()
    for key, selection in trace.selections.items():
        labels = trace.labels.roots(selection.labels)
        before = plain.labels.roots(plain.inputs_of(key))
        # Channels of its own can go as they are.
        is_shared = (before == FIXED) | np.isin(before, sums)
        is_apart = len(np.unique(labels)) == len(labels)
        if (
            not is_shared.any()
            or not is_apart
            or others.intersection(labels.tolist())
        ):
            useless.add(key)
    if useless:
        return useless
    # What has been selected once need not be again.
    selected = np.concatenate(
        [trace.labels.roots(s.labels) for s in trace.selections.values()]
        or [np.array([], "int64")]
    )
    return {
        key
        for key, selection in trace.selections.items()
        if np.isin(trace.labels.roots(selection.source), selected).any()
    }


def _made(trace: Trace) -> set[int]:
    """Roots of channels that layers make."""
    return {
        root
        for weight in trace.weights.values()
        for role, labels in weight.axes.values()
        if role == "out"
        for root in trace.labels.roots(labels).tolist()
    }
