"""The granularities by name: how each cuts a kernel into groups of weights."""

import dataclasses
import re
from collections.abc import Sequence

from dsr_tf.core import distribution
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.pattern import Pattern


class DoesNotFit(ValueError):
    """A granularity does not fit a kernel.

    Attributes:
        reason: Why, in a few words about the kernel.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Granularity:
    """One way to cut kernels into groups.

    Attributes:
        name: `"element"`, every weight by itself; `"kernel"`, the window
            that a convolution slides, for one input and output channel (a
            single weight where there is no window); `"channel"`, all
            weights of an output channel; `"head"`, what a projection of an
            attention layer has of a head; `"block:HxW"`, H x W of the matrix
            of the last two axes; `"N:M"`, such as `"2:4"`, every weight by
            itself, but N of every M consecutive ones along the axis of the
            inputs are active, see `dsr_tf.core.pattern`.
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
        channel_axes: Sequence[int] = (-1,),
        input_axis: int | None = -2,
        head_axis: int | None = None,
    ) -> Grouping:
        """The groups of a kernel.

        Args:
            kernel_shape: Its shape, the window before the channels.
            channel_axes: Axes along which output channels differ.
            input_axis: The axis along which inputs differ, which bundles
                of N:M lie along; None if there is none.
            head_axis: The axis along which heads of attention differ; None
                if there is none.

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
        if self.pattern is not None:
            return self._with_pattern(shape, input_axis, *self.pattern)
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
        elif self.name == "head":
            if head_axis is None:
                raise DoesNotFit(
                    "`granularity` 'head' needs a projection of an attention "
                    f"layer. Received: kernel of shape {shape} without heads",
                    "its kernel has no heads",
                )
            heads = head_axis % len(shape)
            blocks = tuple(1 if i == heads else n for i, n in enumerate(shape))
        else:
            blocks = (1,) * len(shape)
        if any(n % b for n, b in zip(shape, blocks)):
            raise DoesNotFit(
                f"`granularity` {self.name!r} needs a kernel whose last two "
                f"axes its blocks divide. Received: kernel of shape {shape}",
                f"blocks of {self.name} do not divide its kernel",
            )
        return Grouping(shape, blocks)

    def _with_pattern(
        self,
        shape: tuple[int, ...],
        input_axis: int | None,
        num_active: int,
        size: int,
    ) -> Grouping:
        if input_axis is None or not -len(shape) <= input_axis < len(shape):
            raise DoesNotFit(
                f"`granularity` {self.name!r} needs a kernel that sums over "
                f"an axis of inputs. Received: kernel of shape {shape}, "
                "which has no such axis",
                f"its kernel has no axis of inputs for {self.name}",
            )
        axis = input_axis % len(shape)
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
        identifier in ("element", "kernel", "channel", "head")
        or _block_size(identifier) is not None
        or _numbers_of_pattern(identifier) is not None
    ):
        return Granularity(identifier)
    raise ValueError(
        "`granularity` must be one of element, kernel, channel, head, "
        "block:HxW such as block:4x4, or N:M such as 2:4, N being less than "
        f"M. Received: granularity={identifier!r}"
    )


def _block_size(name: str) -> tuple[int, ...] | None:
    match = re.fullmatch(r"block:([1-9]\d*)x([1-9]\d*)", name)
    return tuple(int(n) for n in match.groups()) if match else None


def _numbers_of_pattern(name: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", name)
    if match is None:
        return None
    num_active, size = (int(n) for n in match.groups())
    return (num_active, size) if num_active < size else None
