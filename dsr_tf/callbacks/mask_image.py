"""Masks drawn as small images, from the places of their active groups."""

import math
from collections.abc import Sequence

import numpy as np

from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.layers.emptied import axes_of
from dsr_tf.layers.masked_weights import MaskedWeight

MAX_PIXELS = 512


def of_kernel(weight: MaskedWeight, places: np.ndarray) -> np.ndarray:
    """The mask of a kernel, inputs along one side, outputs along the other.

    The longer side lies across, since TensorBoard makes all images equally
    wide; the outputs do if both are as long. The windows of a convolution
    stand as tiles, one for each pair of an input and an output channel. No
    array of the kernel's size is made.

    Args:
        weight: A `MaskedWeight`.
        places: Its active groups, as `weight.variable.places()` has them.

    Returns:
        Float array `(height, width)` in [0, 1], each at most 512. Where the
        mask has more entries than that, a pixel is the mean of several, as a
        share of the largest: else little would be seen of a sparse mask.
    """
    shape = weight.grouping.mask_shape
    where = np.unravel_index(places, shape)
    rows, columns = _sides(axes_of(weight))
    image = _means(
        _along(where, shape, rows),
        _along(where, shape, columns),
        math.prod(shape[axis] for axis in rows),
        math.prod(shape[axis] for axis in columns),
    )
    return image.T if image.shape[0] > image.shape[1] else image


def of_inputs(
    weight: MaskedWeight,
    places: np.ndarray,
    image_shape: Sequence[int | None],
) -> np.ndarray | None:
    """How many units read each pixel of the images that a model takes.

    Args:
        weight: The first `MaskedWeight` of the model.
        places: Its active groups.
        image_shape: Shape of what the model takes, without the batch.

    Returns:
        Float array `(height, width)`, the sum over outputs and colors, as a
        share of the largest; None if inputs are no images, or the kernel is
        no matrix with a row for each of their numbers.
    """
    shape = tuple(image_shape)
    grouping = weight.grouping
    if len(shape) not in (2, 3) or None in shape:
        return None
    sizes = [n for n in shape if n is not None]
    if len(grouping.kernel_shape) != 2:
        return None
    if grouping.kernel_shape[0] != math.prod(sizes):
        return None
    row_blocks, _ = np.unravel_index(places, grouping.mask_shape)
    counts = np.bincount(row_blocks, minlength=grouping.mask_shape[0])
    counts = np.repeat(counts, grouping.block_shape[0])
    image = counts.reshape(*sizes[:2], -1).sum(axis=-1)
    return image / max(1, image.max())


def _sides(axes: KernelAxes) -> tuple[list[int], list[int]]:
    """Which axes lie along the height of an image, and which its width."""
    outputs = sorted(axes.outputs)
    inputs = sorted(axes.inputs - axes.outputs)
    window = [
        axis
        for axis in range(axes.num_axes)
        if axis not in axes.inputs | axes.outputs
    ]
    half = -(-len(window) // 2)
    return inputs + window[:half], outputs + window[half:]


def _along(
    where: Sequence[np.ndarray], shape: Sequence[int], axes: Sequence[int]
) -> np.ndarray:
    """One number for several coordinates, the first of them the slowest."""
    found = np.zeros(len(where[0]), "int64")
    for axis in axes:
        found = found * shape[axis] + where[axis]
    return found


def _means(
    rows: np.ndarray, columns: np.ndarray, num_rows: int, num_columns: int
) -> np.ndarray:
    """An image of the points given, each pixel a mean."""
    down, across = -(-num_rows // MAX_PIXELS), -(-num_columns // MAX_PIXELS)
    height, width = -(-num_rows // down), -(-num_columns // across)
    sums = np.bincount(
        rows // down * width + columns // across, minlength=height * width
    )
    # The last pixels may stand for fewer.
    tall = np.bincount(np.arange(num_rows) // down)
    wide = np.bincount(np.arange(num_columns) // across)
    means = sums.reshape(height, width) / np.outer(tall, wide)
    return means / (means.max() or 1)
