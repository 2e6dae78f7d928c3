"""The windows of a layer over its input, taken at some places only."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.structure.rules.registry import kind_of

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


@dataclasses.dataclass(frozen=True)
class Windows:
    """Where a layer looks to compute one position of its output.

    A `Dense` layer has windows of one position.

    Attributes:
        size: Positions of the window along each axis of space.
        strides, dilation: Steps from one window to the next, and from one
            position of a window to the next, along each axis.
        padding: `"valid"`, `"same"` or `"causal"`.
        channels_first: Whether the axis of channels comes before space.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str = "valid"
    channels_first: bool = False

    def take(self, inputs: Any, places: Any) -> Any:
        """The inputs that some positions of the output are computed from.

        Args:
            inputs: Tensor `(N, ..., C)`, or `(N, C, ...)`.
            places: Numbers in [0, 1) `(M, S, axes of space)`: S positions of
                the output for each example, as shares of its size along each
                axis. Those of example n are at n modulo M.

        Returns:
            Tensor `(N, S, positions of a window, C)`, where positions of the
            padding are 0.
        """
        if self.channels_first:
            inputs = ops.moveaxis(inputs, 1, -1)
        shape = ops.shape(inputs)
        if len(shape) != len(self.size) + 2:
            # Of a dense layer, whatever stands between examples and channels.
            inputs = ops.reshape(inputs, (shape[0], -1, shape[-1]))
            shape = ops.shape(inputs)
        number, sizes, num_channels = shape[0], shape[1:-1], shape[-1]
        examples = ops.arange(number, dtype="int32")
        places = ops.take(places, examples % ops.shape(places)[0], axis=0)
        # Rows of a matrix with a row for each example and position.
        rows = ops.reshape(examples, (-1, 1, 1))
        is_inside = ops.ones((1, 1, 1), "bool")
        for axis, size in enumerate(sizes):
            at = self._positions(places[..., axis], axis, size)
            inside = ops.logical_and(at >= 0, at < size)
            at = ops.clip(at, 0, size - 1)
            rows = _each_with_each(rows * size, at, ops.add)
            is_inside = _each_with_each(is_inside, inside, ops.logical_and)
        matrix = ops.reshape(inputs, (-1, num_channels))
        found = ops.take(matrix, ops.reshape(rows, (-1,)), axis=0)
        found = ops.reshape(found, (*ops.shape(rows), num_channels))
        return ops.where(is_inside[..., None], found, ops.zeros_like(found))

    def _positions(self, places: Any, axis: int, size: Any) -> Any:
        """Positions `(N, S, size of the window)` along one axis."""
        window, stride = self.size[axis], self.strides[axis]
        dilation = self.dilation[axis]
        reach = (window - 1) * dilation + 1
        before = reach - 1 if self.padding == "causal" else 0
        num_outputs = (size + before - reach) // stride + 1
        if self.padding == "same":
            num_outputs = (size + stride - 1) // stride
            needed = (num_outputs - 1) * stride + reach
            before = ops.maximum(needed - size, 0) // 2
        place = ops.floor(places * ops.cast(num_outputs, "float32"))
        # A number just below 1 may be rounded up.
        place = ops.minimum(ops.cast(place, "int32"), num_outputs - 1)
        steps = ops.arange(window, dtype="int32") * dilation
        return place[..., None] * stride + steps - before


def windows_of(layer: keras.layers.Layer) -> Windows:
    """The windows of a dense layer or convolution.

    Raises:
        ValueError: if the layer is none, or a convolution in groups.
    """
    if not has_windows(layer):
        raise ValueError(
            "What input channels add to outputs is known of Dense, Conv1D, "
            "Conv2D and Conv3D layers, without groups. Received: "
            f"'{layer.name}' of type {type(layer).__name__}"
        )
    if kind_of(layer) is keras.layers.Dense:
        return Windows((1,), (1,), (1,))
    return Windows(
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        layer.padding,
        layer.data_format == "channels_first",
    )


def has_windows(layer: keras.layers.Layer) -> bool:
    """Whether a layer is one of those that `windows_of` takes."""
    kind = kind_of(layer)
    is_plain = kind in _CONVOLUTIONS and layer.groups == 1
    return is_plain or kind is keras.layers.Dense


def kernel_of(layer: keras.layers.Layer) -> np.ndarray:
    """A layer's kernel as an array `(positions of a window, C, F)`."""
    kernel = ops.convert_to_numpy(layer.kernel)
    window = math.prod(kernel.shape[:-2])
    return kernel.reshape(window, *kernel.shape[-2:])


def _each_with_each(old: Any, new: Any, join: Any) -> Any:
    """Join `(N, S, K)` and `(N, S, L)` to `(N, S, K * L)`."""
    joined = join(old[..., :, None], new[..., None, :])
    shape = ops.shape(joined)
    return ops.reshape(joined, (*shape[:2], -1))
