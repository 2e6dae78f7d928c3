"""The granularities by name: how each cuts a kernel into groups of weights."""

import dataclasses
import re
from collections.abc import Callable
from collections.abc import Sequence

from dsr_tf.core import distribution
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.core.pattern import Pattern


class DoesNotFit(ValueError):
    """A granularity does not fit a kernel.

    Attributes:
        reason: Why, in a few words about the kernel.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def _all(axes: KernelAxes) -> frozenset[int]:
    return frozenset(range(axes.num_axes))


# The axes that a kernel is cut along, at each index; the groups are whole
# along all others.
_CUTS: dict[str, Callable[[KernelAxes], frozenset[int]]] = {
    "element": _all,
    "kernel": lambda axes: _all(axes) & {axes.num_axes - 2, axes.num_axes - 1},
    "shape": lambda axes: _all(axes) - axes.outputs,
    "input": lambda axes: axes.inputs,
    "channel": lambda axes: axes.channels,
    "head": lambda axes: frozenset(() if axes.heads is None else (axes.heads,)),
    "layer": lambda axes: frozenset(),
}
# What a kernel lacks that cannot be cut, by name.
_LACKS = {"head": "heads", "shape": "inputs", "input": "inputs"}


@dataclasses.dataclass(frozen=True)
class Granularity:
    """One way to cut kernels into groups.

    Attributes:
        name: What a group is, of a convolution's kernel (h, w, C, F):
            `"element"`, one weight, (1, 1, 1, 1);
            `"kernel"`, the window for one input and one output channel,
            (h, w, 1, 1), a single weight where there is no window;
            `"shape"`, one position of the window and one input channel, for
            all output channels, (1, 1, 1, F);
            `"input"`, all that reads an input channel, (h, w, 1, F);
            `"channel"`, all that makes an output channel, (h, w, C, 1);
            `"head"`, what a projection of an attention layer has of a head;
            `"layer"`, the whole kernel, (h, w, C, F), for penalties: a mask
            of one group has nothing to choose;
            `"block:HxW"`, H x W of the matrix of the last two axes;
            `"block:B"`, such as `"block:32"`, blocks of up to B x B: along
            each of these axes the largest length up to B that divides it,
            at least B/2 (32 along 2048, 28 along 784), or the whole axis
            where it is shorter. Where a matrix product sums over several
            axes or gives several, as projections of attention do, they are
            those of its matrix: whole along the last axes, and as far as
            these are shorter than B, along the one before;
            `"N:M"`, such as `"2:4"`, one weight, but N of every M
            consecutive ones along the axis of the inputs are active, see
            `dsr_tf.core.pattern`.
            Where axes stand for something else, as in transposed and
            depthwise kernels, groups do too, see `KernelAxes`. "shape" and
            "channel" are the columns and rows that Wen et al. (2016)
            penalize.
    """

    name: str

    @property
    def pattern(self) -> tuple[int, int] | None:
        """N and M, where it is N:M; else None."""
        return _numbers_of_pattern(self.name)

    def check_sparsity(self, sparsity: float) -> float:
        """Return `sparsity` as a float, exact where it must be 1 - N/M.

        Raises:
            ValueError: if it is not in [0, 1); or with N:M neither 1 - N/M
                nor 0, from which pruning leads there.
        """
        sparsity = distribution.check_sparsity(sparsity)
        if self.pattern is None or sparsity == 0:
            return sparsity
        num_active, size = self.pattern
        exact = 1 - num_active / size
        # People write 1/3 with a few digits.
        if abs(sparsity - exact) > 1e-6:
            raise ValueError(
                f"`sparsity` must be {exact:.6g} with granularity "
                f"{self.name!r}, which has {num_active} of every {size} "
                "weights active (or 0, to start gradual pruning from). "
                f"Received: sparsity={sparsity:.6g}"
            )
        return exact

    def grouping(
        self,
        kernel_shape: Sequence[int | None],
        axes: KernelAxes | None = None,
    ) -> Grouping:
        """The groups of a kernel.

        Args:
            kernel_shape: Its shape, the window before the channels.
            axes: What its axes stand for; None for those of a Dense or
                convolution layer.

        Returns:
            A `Grouping`.

        Raises:
            ValueError: if blocks do not divide the kernel, it lacks what
                groups go by, or its shape is not known.
        """
        shape = tuple(n for n in kernel_shape if n is not None)
        if len(shape) < len(kernel_shape):
            raise ValueError(
                "A masked kernel needs inputs whose channels are known. "
                f"Received: kernel of shape {tuple(kernel_shape)}"
            )
        axes = axes or KernelAxes.of(len(shape))
        if self.pattern is not None:
            return self._with_pattern(shape, axes.summed, *self.pattern)
        block = _block_size(self.name)
        if block is not None:
            return self._in_blocks(shape, block, axes)
        longest = _block_length(self.name)
        if longest is not None:
            return self._in_blocks_up_to(shape, longest, axes)
        cut = self.cut_axes(axes)
        blocks = [1 if axis in cut else n for axis, n in enumerate(shape)]
        return _grouping(shape, tuple(blocks), axes)

    def cut_axes(self, axes: KernelAxes) -> frozenset[int]:
        """The axes along which a weight's group differs at each index.

        Of a granularity that goes by axes, neither blocks nor N:M.

        Raises:
            DoesNotFit: if the kernel has none of them.
        """
        cut = _CUTS[self.name](axes)
        lacks = _LACKS.get(self.name)
        if lacks and not cut:
            needed = f"a kernel with {lacks}"
            if lacks == "heads":
                needed = "a projection of an attention layer"
            raise DoesNotFit(
                f"`granularity` {self.name!r} needs {needed}. Received: "
                f"weight without {lacks}, num_axes={axes.num_axes}",
                f"its kernel has no {lacks}",
            )
        return cut

    @property
    def goes_by_axes(self) -> bool:
        """Whether groups are whole along some axes, cut along the others."""
        return self.name in _CUTS

    def _in_blocks(
        self, shape: tuple[int, ...], block: tuple[int, ...], axes: KernelAxes
    ) -> Grouping:
        blocks = (1,) * (len(shape) - 2) + block
        if len(shape) < 2 or any(n % b for n, b in zip(shape, blocks)):
            raise DoesNotFit(
                f"`granularity` {self.name!r} needs a kernel whose last two "
                f"axes its blocks divide. Received: kernel of shape {shape}",
                f"blocks of {self.name} do not divide its kernel",
            )
        return _grouping(shape, blocks, axes)

    def _in_blocks_up_to(
        self, shape: tuple[int, ...], longest: int, axes: KernelAxes
    ) -> Grouping:
        columns = len(shape) - axes.num_column_axes
        rows = max(0, columns - axes.num_row_axes)
        lengths = [
            *_longest_run(shape[rows:columns], longest),
            *_longest_run(shape[columns:], longest),
        ]
        if len(shape) < 2 or None in lengths:
            raise DoesNotFit(
                f"`granularity` {self.name!r} needs a kernel whose last two "
                f"axes a length from {-(-longest // 2)} to {longest} divides, "
                f"or which are shorter. Received: kernel of shape {shape}",
                f"no blocks of {self.name} divide its kernel",
            )
        blocks = (1,) * rows + tuple(n for n in lengths if n)
        return _grouping(shape, blocks, axes)

    def _with_pattern(
        self,
        shape: tuple[int, ...],
        axis: int | None,
        num_active: int,
        size: int,
    ) -> Grouping:
        if axis is None:
            raise DoesNotFit(
                f"`granularity` {self.name!r} needs a kernel that sums over "
                f"an axis of inputs. Received: kernel of shape {shape}, "
                "which has no such axis",
                f"its kernel has no axis of inputs for {self.name}",
            )
        if shape[axis] % size:
            raise DoesNotFit(
                f"`granularity` {self.name!r} needs a kernel with a number "
                f"of inputs that {size} divides. Received: kernel of shape "
                f"{shape} with {shape[axis]} along axis {axis}",
                f"{size} of {self.name} does not divide its {shape[axis]} "
                "inputs",
            )
        pattern = Pattern(num_active, size, shape, axis)
        return Grouping(shape, (1,) * len(shape), pattern)


def get(identifier: str | Granularity) -> Granularity:
    """The granularity of that name; an instance is returned as it is.

    Raises:
        ValueError: if there is no granularity of that name.
    """
    if isinstance(identifier, Granularity):
        return identifier
    if isinstance(identifier, str) and (
        identifier in _CUTS
        or _block_size(identifier) is not None
        or _block_length(identifier) is not None
        or _numbers_of_pattern(identifier) is not None
    ):
        return Granularity(identifier)
    raise ValueError(
        f"`granularity` must be one of {', '.join(_CUTS)}, block:HxW such as "
        "block:4x4, block:B such as block:32, or N:M such as 2:4, N being "
        f"less than M. Received: granularity={identifier!r}"
    )


def _grouping(
    shape: tuple[int, ...], blocks: tuple[int, ...], axes: KernelAxes
) -> Grouping:
    return Grouping(shape, blocks, num_column_axes=axes.num_column_axes)


def _block_size(name: str) -> tuple[int, ...] | None:
    match = re.fullmatch(r"block:([1-9]\d*)x([1-9]\d*)", name)
    return tuple(int(n) for n in match.groups()) if match else None


def _block_length(name: str) -> int | None:
    match = re.fullmatch(r"block:([1-9]\d*)", name)
    return int(match[1]) if match else None


def _longest_divisor(n: int, longest: int) -> int | None:
    """The largest divisor of n from `longest` down to half of it."""
    if n < longest:
        return n
    for length in range(longest, (longest - 1) // 2, -1):
        if n % length == 0:
            return length
    return None


def _longest_run(shape: tuple[int, ...], longest: int) -> list[int | None]:
    """The lengths along some axes of a block of up to so many entries, which
    follow each other in memory; None where there is none."""
    lengths: list[int | None] = []
    for n in reversed(shape):
        length = _longest_divisor(n, longest)
        lengths.insert(0, length)
        longest = longest // n if length == n else 1
    return lengths


def _numbers_of_pattern(name: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", name)
    if match is None:
        return None
    num_active, size = (int(n) for n in match.groups())
    return (num_active, size) if num_active < size else None
