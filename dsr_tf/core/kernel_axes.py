"""What the axes of a kernel stand for, which differs between layers."""

import dataclasses
from collections.abc import Iterable
from typing import Self


@dataclasses.dataclass(frozen=True)
class KernelAxes:
    """What the axes of a kernel stand for, as numbers from the front.

    Axes of neither inputs nor outputs are those of a window.

    Attributes:
        num_axes: How many there are.
        channels: Those that tell an output channel from another.
        inputs: Those that tell an input channel from another.
        outputs: Those along which the input is the same, and only outputs
            differ: `channels`, but for a depthwise kernel, where each output
            channel reads one input.
        summed: The one that inputs are summed over and bundles of N:M lie
            along; None if there is none.
        heads: The one that counts heads of attention; None if there is none.
        num_row_axes, num_column_axes: How many of the last axes are the
            columns of the matrix that blocks are cut out of, and how many
            before them its rows.
    """

    num_axes: int
    channels: frozenset[int]
    inputs: frozenset[int]
    outputs: frozenset[int]
    summed: int | None
    heads: int | None = None
    num_row_axes: int = 1
    num_column_axes: int = 1

    @classmethod
    def of(cls, num_axes: int, channels: Iterable[int] = (-1,)) -> Self:
        """Those of a kernel whose last two axes are inputs and outputs.

        Args:
            num_axes: How many there are, the window before the last two.
            channels: Which of the last two output channels differ along,
                counted from the back or the front: `(-1,)` as in a Dense
                kernel, `(-2,)` as in a transposed one, or both as in a
                depthwise one, whose inputs are the last but one. Of a bias
                or scale, the only one.
        """
        own = frozenset(axis % num_axes for axis in channels)
        last_two = frozenset(range(max(0, num_axes - 2), num_axes))
        summed = max(last_two - own, default=None)
        inputs = last_two - own
        if not inputs and num_axes >= 2:
            inputs = frozenset({num_axes - 2})
        return cls(num_axes, own, inputs, own - inputs, summed)
