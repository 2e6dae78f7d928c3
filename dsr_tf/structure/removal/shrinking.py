"""Windows of convolutions without the zeros at their borders."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.graph import Changes
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.single import config_of
from dsr_tf.conversion.single import copy_layer
from dsr_tf.structure.removal.cutting import CuttingTransfer
from dsr_tf.structure.statistics.windows import windows_of

_KINDS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def shrink_windows(model: keras.Model) -> keras.Model:
    """A copy of a model whose convolutions have no borders of zeros.

    A row or column at the border of the window in which all weights are 0,
    for all channels and filters, is cut off, and the padding with it: where
    the window is no longer in the middle, `keras.ops.pad` or a slice stands
    before the layer. It computes what the model does. Convolutions with
    masks, in groups or with causal padding stay as they are, and so does
    padding for strides where the size of images is not known.

    Args:
        model: A built functional or Sequential model, not changed.

    Returns:
        The copy, compiled as the model is.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied.
    """
    check_model(model, "shrink_windows")
    return rebuild(model, _Shrinking(model))


class _Shrunk:
    """What becomes of one convolution.

    Attributes:
        first, last: Number of positions that go along each axis of space,
            before the others and behind them.
    """

    def __init__(self, layer: Any) -> None:
        self._windows = windows_of(layer)
        kernel = ops.convert_to_numpy(layer.kernel)
        self.first, self.last = [], []
        for axis, size in enumerate(layer.kernel_size):
            others = tuple(i for i in range(kernel.ndim) if i != axis)
            (places,) = np.nonzero(kernel.any(axis=others))
            ends = (places[0], places[-1]) if len(places) else (0, 0)
            self.first.append(int(ends[0]))
            self.last.append(int(size - 1 - ends[1]))
        self.size = tuple(
            size - first - last
            for size, first, last in zip(
                layer.kernel_size, self.first, self.last
            )
        )

    def stays(self) -> dict[int, np.ndarray]:
        """For each axis of the kernel that is cut, what stays of it."""
        found = {}
        for axis, size in enumerate(self._windows.size):
            places = np.arange(size)
            inside = places >= self.first[axis]
            inside &= places < size - self.last[axis]
            if not inside.all():
                found[axis] = inside
        return found

    def padding(self, shape: Any) -> list[tuple[int, int]] | None:
        """How many zeros the smaller window needs around images of a shape.

        Below 0, as many positions of the image are in no window. None if it
        is not known.
        """
        sizes = list(shape[2:] if self._windows.channels_first else shape[1:-1])
        found = []
        for axis, size in enumerate(sizes):
            before, behind = 0, 0
            if self._windows.padding == "same":
                total = self._total_padding(axis, size)
                if total is None:
                    return None
                before = total // 2
                behind = total - before
            dilation = self._windows.dilation[axis]
            before -= self.first[axis] * dilation
            behind -= self.last[axis] * dilation
            found.append((before, behind))
        return found

    def _total_padding(self, axis: int, size: int | None) -> int | None:
        windows = self._windows
        reach = (windows.size[axis] - 1) * windows.dilation[axis] + 1
        stride = windows.strides[axis]
        if stride == 1:
            return reach - 1
        if size is None:
            return None
        return max((-(-size // stride) - 1) * stride + reach - size, 0)

    def is_same(self, padding: list[tuple[int, int]]) -> bool:
        """Whether that is what Keras does for `padding="same"`."""
        windows = self._windows
        totals = [
            (size - 1) * dilation
            for size, dilation in zip(self.size, windows.dilation)
        ]
        expected = [(total // 2, total - total // 2) for total in totals]
        return set(windows.strides) == {1} and padding == expected

    def place(self, inputs: Any, padding: list[tuple[int, int]]) -> Any:
        """The image with so many zeros around it."""
        channels = [(0, 0)]
        if self._windows.channels_first:
            widths = [(0, 0), *channels, *padding]
        else:
            widths = [(0, 0), *padding, *channels]
        pads = [(max(a, 0), max(b, 0)) for a, b in widths]
        if any(a or b for a, b in pads):
            inputs = ops.pad(inputs, pads)
        cuts = [(max(-a, 0), max(-b, 0)) for a, b in widths]
        if any(a or b for a, b in cuts):
            inputs = inputs[
                tuple(slice(a or None, -b or None) for a, b in cuts)
            ]
        return inputs


class _Shrinking(Changes):
    """Convolutions whose windows are smaller, and what pads for them."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self._shrunk: dict[int, _Shrunk] = {}
        for layer in model._flatten_layers():
            is_plain = type(layer) in _KINDS and layer.groups == 1
            if is_plain and layer.padding != "causal":
                shrunk = _Shrunk(layer)
                if shrunk.stays() and self._is_known(layer, shrunk):
                    self._shrunk[id(layer)] = shrunk
        cuts = {
            id(layer.kernel): self._shrunk[id(layer)].stays()
            for layer in model._flatten_layers()
            if id(layer) in self._shrunk
        }
        self.transfer = CuttingTransfer(cuts, set(self._shrunk))
        # By the identity of a copy that needs padding before it.
        self._padded: dict[int, _Shrunk] = {}

    def _is_known(self, layer: Any, shrunk: _Shrunk) -> bool:
        return all(x is not None for x in self._paddings(layer, shrunk))

    def _paddings(self, layer: Any, shrunk: _Shrunk) -> list[Any]:
        """The padding of each call of a layer."""
        return [
            shrunk.padding(tensor.shape)
            for node in layer._inbound_nodes
            for tensor in node.input_tensors
        ]

    def layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        shrunk = self._shrunk.get(id(layer))
        if shrunk is None:
            return super().layer(layer)
        config: dict[str, Any] = config_of(layer)
        config.pop("build_config", None)
        config.update(kernel_size=shrunk.size, padding="valid")
        paddings = self._paddings(layer, shrunk)
        if all(shrunk.is_same(padding) for padding in paddings):
            config["padding"] = "same"
        copy = copy_layer(layer, config)
        if config["padding"] == "valid":
            self._padded[id(copy)] = shrunk
        return copy

    def calls(self, model: keras.Sequential) -> bool:
        return any(id(layer) in self._shrunk for layer in model.layers)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        shrunk = self._padded.get(id(operation))
        if shrunk is not None:
            padding: Any = shrunk.padding(args[0].shape)
            args = (shrunk.place(args[0], padding), *args[1:])
        return operation(*args, **kwargs)
