"""Positions of windows that are left out, and what follows from that.

A shape is what Wen et al. (2016) and Lebedev & Lempitsky (2016) call one input
channel at one position of a convolution's window, for all filters: a row of
the matrix that the convolution multiplies by. Of a dense layer it is an input.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import Predicate
from dsr_tf.layers import masked_weights
from dsr_tf.layers.in_place import mask_layer
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.layers.parts import mask_parts
from dsr_tf.structure.choice.choose import Keep
from dsr_tf.structure.graph.channels import Slice
from dsr_tf.structure.graph.cost import Cost
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.graph.trace import LabelledWeight
from dsr_tf.structure.removal.narrowing import narrow
from dsr_tf.structure.removal.shrinking import shrink_windows
from dsr_tf.structure.removal.zero_units import is_zero
from dsr_tf.structure.statistics.windows import has_windows

# For each layer by its path, a bool for each shape: those of the first
# position of the window, channel by channel, then those of the next.
Shapes = Mapping[str, np.ndarray]


class ShapesOf:
    """The shapes of a model, and what it costs without some of them.

    Args:
        model: A built functional or Sequential model.
        filters: Regular expression, list of these, or function of a layer:
            which layers have shapes that may go. By default all dense layers
            and convolutions, without groups, that have no masks yet.

    Attributes:
        norms: For each layer by its path, the norms of its shapes.

    Raises:
        ValueError: if there is no such layer.
    """

    def __init__(self, model: keras.Model, filters: Filters = None) -> None:
        self._model = model
        self._structure = Structure(model, selections=True)
        wanted = Predicate(filters)
        masked = {weight.layer for weight in masked_weights(model)}
        trace = self._structure.trace
        wanted.check_all_found([path for _, path in layers_with_paths(model)])
        self._weights: dict[str, LabelledWeight] = {}
        for weight in trace.weights.values():
            path = trace.path_of(weight.layer)
            is_kernel = "in" in {role for role, _ in weight.axes.values()}
            if not is_kernel or not has_windows(weight.layer):
                continue
            if weight.layer not in masked and wanted(weight.layer, path):
                self._weights[path] = weight
        if not self._weights:
            raise ValueError(
                f"Model '{model.name}' has no dense layer or convolution "
                f"whose shapes can go. Received: filters={filters!r}"
            )
        self._readers = self._find_readers()
        self.norms = {
            path: np.linalg.norm(_rows(weight).astype("float64"), axis=1)
            for path, weight in self._weights.items()
        }

    def cost(self, shapes: Shapes) -> Cost:
        """What is active when only some shapes are left.

        Args:
            shapes: Those that stay; layers that are not in it keep all.
        """
        keep = self._keep(shapes)
        whole, cuts = self._structure.cost(keep), self._structure.cuts(keep)
        parameters, macs = whole.parameters, whole.macs
        for path, own in shapes.items():
            weight = self._weights[path]
            size = list(weight.variable.shape)
            for axis, stays in cuts.get(id(weight.variable), {}).items():
                size[axis] = int(stays.sum())
            num_shapes = int(np.prod(size[:-1]))
            num_inactive = (num_shapes - int(own.sum())) * size[-1]
            parameters -= num_inactive
            macs -= num_inactive * weight.num_uses
        return Cost(parameters, macs)

    def without(self, shapes: Shapes) -> keras.Model:
        """The model with only some shapes.

        Args:
            shapes: As of `cost`.

        Returns:
            A copy: channels that nobody reads, and borders of windows, are
            cut off; the other shapes that go have a mask of granularity
            `"shape"`.
        """
        copy = rebuild(self._model)
        layers = {path: layer for layer, path in layers_with_paths(copy)}
        for path, own in shapes.items():
            kernel = layers[path].kernel
            rows = np.where(own[:, None], _rows(self._weights[path]), 0)
            kernel.assign(rows.reshape(kernel.shape))
        smaller = shrink_windows(narrow(copy, self._keep(shapes)))
        _mask_zeros(smaller, shapes)
        return smaller

    def _keep(self, shapes: Shapes) -> Keep:
        """The units that are read, where only some shapes are left."""
        keep = {}
        for name, readers in self._readers.items():
            goes = np.all([r.leaves_out(shapes) for r in readers], axis=0)
            if goes.all():
                goes[0] = False
            if goes.any():
                keep[name] = ~goes
        return keep

    def _find_readers(self) -> dict[str, list["_Reader"]]:
        """What reads the units of each set that may go."""
        layers = {id(w.variable): path for path, w in self._weights.items()}
        return {
            found.name: [
                _Reader(one, layers.get(id(one.variable)), is_zero(one))
                for one in found.with_role("in")
            ]
            for found in self._structure.sets
            if found.with_role("in")
            and found.name not in self._structure.selected_from
        }


@dataclasses.dataclass(frozen=True, eq=False)
class _Reader:
    """A layer that reads the units of a set.

    Attributes:
        place: Where they lie in its kernel.
        path: Its path, if its shapes may go.
        is_zero: For each unit, whether all weights that read it are 0.
    """

    place: Slice
    path: str | None
    is_zero: np.ndarray

    def leaves_out(self, shapes: Shapes) -> np.ndarray:
        """For each unit, whether it has none of the shapes that are left."""
        if self.path is None or self.path not in shapes:
            return self.is_zero
        num_channels = self.place.variable.shape[self.place.axis]
        read = np.any(shapes[self.path].reshape(-1, num_channels), axis=0)
        return ~np.asarray(read)[self.place.positions].any(axis=1)


def _rows(weight: LabelledWeight) -> np.ndarray:
    """A kernel as a matrix with a row for each shape."""
    values = ops.convert_to_numpy(weight.variable)
    return values.reshape(-1, values.shape[-1])


def _mask_zeros(model: keras.Model, shapes: Shapes) -> None:
    """Mask layers in which shapes are zeros, so that they stay zeros."""
    active = {}
    for layer, path in layers_with_paths(model):
        if path in shapes:
            kernel = ops.convert_to_numpy(layer.kernel)
            active[path] = kernel.any(axis=-1).reshape(-1)

    def visit(layer: Any, path: str, axes: dict[str, int] | None) -> bool:
        if path not in active or active[path].all():
            return False
        mask_layer(layer, 0.0, "shape", seed=0, head_axes=axes, draw=False)
        layer.masked_variables["kernel"].set_mask(active[path])
        return True

    mask_parts(model, visit)
