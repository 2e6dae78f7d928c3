"""Penalties under which whole parts of a network vanish."""

import re
from collections.abc import Sequence

import keras

from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import Predicate
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.regularizers import GroupLasso
from dsr_tf.regularizers import Sum
from dsr_tf.structure.graph.branches import branches
from dsr_tf.structure.graph.structure import Structure

GRANULARITIES = ("channel", "input", "shape", "layer")


def group_penalties(
    model: keras.Model,
    strength: float,
    granularities: Sequence[str] = ("channel", "input"),
    filters: Filters = None,
) -> dict[str, Sum]:
    """A group lasso for each kernel, where groups of zeros can go.

    Args:
        model: A built functional or Sequential model.
        strength: Number of at least 0, one for all groups.
        granularities: What vanishes, one or more of these: `"channel"`,
            filters or units, of layers all of whose channels may go;
            `"input"`, all that reads a channel or an input of the network;
            `"shape"`, a position of the window for one input channel;
            `"layer"`, whole kernels, of layers in branches.
        filters: Regular expression, list of these, or function of a layer:
            which layers get a penalty. By default all.

    Returns:
        Dict for `dsr_tf.regularize`, from regular expressions for the paths
        of kernels to penalties.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if an argument is out of range, or no kernel has groups
            of one of the granularities.
    """
    if not granularities or set(granularities) - set(GRANULARITIES):
        raise ValueError(
            "`granularities` must be some of "
            f"{', '.join(GRANULARITIES)}. Received: "
            f"granularities={granularities!r}"
        )
    wanted, structure = Predicate(filters), Structure(model)
    trace = structure.trace
    wanted.check_all_found([path for _, path in layers_with_paths(model)])
    makers = {layer for found in structure.sets for layer in found.producers}
    inside = {x for branch in branches(model) for x in branch.layers}
    found: dict[str, list[GroupLasso]] = {}
    for granularity in granularities:
        has_some = False
        for weight in trace.weights.values():
            layer = weight.layer
            path = trace.path_of(layer)
            if {role for role, _ in weight.axes.values()} != {"in", "out"}:
                continue
            if granularity == "channel" and layer not in makers:
                continue
            if granularity == "layer" and layer not in inside:
                continue
            if wanted(layer, path):
                name = re.escape(f"{path}/{weight.variable.name}")
                penalty = GroupLasso(strength, granularity)
                found.setdefault(f"^{name}$", []).append(penalty)
                has_some = True
        if not has_some:
            raise ValueError(
                "`granularities` must be of groups that can vanish from the "
                f"kernels of '{model.name}', which has no {granularity!r}. "
                f"Received: granularities={granularities!r}, "
                f"filters={filters!r}"
            )
    return {name: Sum(penalties) for name, penalties in found.items()}
