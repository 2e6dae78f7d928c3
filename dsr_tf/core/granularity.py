"""A kernel seen as groups of weights: one mask entry governs one group.

Every granularity cuts a kernel into equal blocks, some axes into single
entries, others not at all. Layers keep one mask entry for each block and
spread it over the kernel in the forward pass. Rules of reallocation never meet
a granularity: they see a score for each mask entry, and the size of a group.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class Grouping:
    """The blocks of one kernel.

    Attributes:
        kernel_shape: Shape of the kernel.
        block_shape: Shape of a block; each number divides the kernel's.
    """

    kernel_shape: tuple[int, ...]
    block_shape: tuple[int, ...]

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return tuple(
            n // block for n, block in zip(self.kernel_shape, self.block_shape)
        )

    @property
    def num_groups(self) -> int:
        return math.prod(self.mask_shape)

    @property
    def group_size(self) -> int:
        """Number of weights that one mask entry governs."""
        return math.prod(self.block_shape)

    def spread(self, mask: Any) -> Any:
        """The mask, a tensor, so that it multiplies the kernel.

        Axes that are one block broadcast; only blocks that are part of an
        axis need repeating.
        """
        for axis, (n, block) in enumerate(
            zip(self.kernel_shape, self.block_shape)
        ):
            if 1 < block < n:
                mask = ops.repeat(mask, block, axis=axis)
        return mask

    def groups(self, kernel: np.ndarray) -> np.ndarray:
        """The array `kernel` as `(num_groups, group_size)`.

        Row i holds the weights of entry i of the flattened mask.
        """
        if self.group_size == 1:
            return kernel.reshape(-1, 1)
        blocks = kernel.reshape(self._interleaved)
        return blocks.transpose(self._blocks_last).reshape(-1, self.group_size)

    def ungroup(self, groups: np.ndarray) -> np.ndarray:
        """The inverse of `groups`: an array of shape `kernel_shape`."""
        if self.group_size == 1:
            return groups.reshape(self.kernel_shape)
        blocks = groups.reshape(*self.mask_shape, *self.block_shape)
        back = np.argsort(self._blocks_last)
        return blocks.transpose(back).reshape(self.kernel_shape)

    def scores_of(self, kernel: Any) -> Any:
        """Mean magnitude of each group of a kernel.

        Args:
            kernel: Variable, tensor or array of shape `kernel_shape`.

        Returns:
            A float32 tensor `(num_groups,)`, in the order of `groups`.
        """
        magnitudes = ops.abs(ops.cast(ops.convert_to_tensor(kernel), "float32"))
        if self.group_size == 1:
            return ops.reshape(magnitudes, (-1,))
        blocks = ops.reshape(magnitudes, self._interleaved)
        blocks = ops.transpose(blocks, self._blocks_last)
        return ops.mean(ops.reshape(blocks, (-1, self.group_size)), axis=1)

    @property
    def _interleaved(self) -> tuple[int, ...]:
        pairs = zip(self.mask_shape, self.block_shape)
        return tuple(n for pair in pairs for n in pair)

    @property
    def _blocks_last(self) -> tuple[int, ...]:
        axes = range(2 * len(self.kernel_shape))
        return (*axes[::2], *axes[1::2])


@dataclasses.dataclass(frozen=True)
class Granularity:
    """One way to cut kernels into groups.

    Attributes:
        name: `"element"`, every weight by itself; `"kernel"`, the window
            that a convolution slides, for one input and output channel (a
            single weight where there is no window); `"channel"`, all
            weights of an output channel; `"block:HxW"`, H x W of the matrix
            of the last two axes.
    """

    name: str

    def grouping(
        self,
        kernel_shape: Sequence[int | None],
        channel_axes: Sequence[int] = (-1,),
    ) -> Grouping:
        """The groups of a kernel.

        Args:
            kernel_shape: Its shape, the window before the channels.
            channel_axes: Axes along which output channels differ.

        Returns:
            A `Grouping`.

        Raises:
            ValueError: if blocks do not divide the kernel, or its shape is
                not known.
        """
        shape = tuple(n for n in kernel_shape if n is not None)
        if len(shape) < len(kernel_shape):
            raise ValueError(
                "A masked kernel needs inputs whose channels are known. "
                f"Received: kernel of shape {tuple(kernel_shape)}"
            )
        window = len(shape) - 2
        block = _block_size(self.name)
        if block is not None:
            blocks = (1,) * window + block
        elif self.name == "kernel":
            blocks = (*shape[:window], 1, 1)
        elif self.name == "channel":
            axes = {axis % len(shape) for axis in channel_axes}
            blocks = tuple(
                1 if axis in axes else n for axis, n in enumerate(shape)
            )
        else:
            blocks = (1,) * len(shape)
        if any(n % b for n, b in zip(shape, blocks)):
            raise ValueError(
                f"`granularity` {self.name!r} needs a kernel whose last two "
                f"axes its blocks divide. Received: kernel of shape {shape}"
            )
        return Grouping(shape, blocks)


def get(identifier: str | Granularity) -> Granularity:
    """The granularity of that name; an instance is returned as it is.

    Raises:
        ValueError: if there is no granularity of that name.
    """
    if isinstance(identifier, Granularity):
        return identifier
    if isinstance(identifier, str) and (
        identifier in ("element", "kernel", "channel")
        or _block_size(identifier) is not None
    ):
        return Granularity(identifier)
    raise ValueError(
        "`granularity` must be one of element, kernel, channel, or "
        f"block:HxW such as block:4x4. Received: granularity={identifier!r}"
    )


def _block_size(name: str) -> tuple[int, ...] | None:
    match = re.fullmatch(r"block:([1-9]\d*)x([1-9]\d*)", name)
    return tuple(int(n) for n in match.groups()) if match else None
