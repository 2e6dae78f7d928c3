"""Scales of axes: where a value lies, and which values have labels."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Self


@dataclasses.dataclass(frozen=True)
class Scale:
    """From values to shares of the length of an axis.

    Attributes:
        low, high: The values at its ends.
        is_log: Whether factors, not differences, have the same length.
    """

    low: float
    high: float
    is_log: bool = False

    @classmethod
    def over(
        cls,
        values: Iterable[float],
        is_log: bool = False,
        low: float | None = None,
        high: float | None = None,
    ) -> Self:
        """A scale for all of these values, with round ends.

        Args:
            values: Finite numbers; a logarithmic scale leaves out those that
                are not positive.
            is_log: Whether it is logarithmic.
            low, high: An end that is known.
        """
        shown = [v for v in values if not is_log or v > 0]
        if not shown:
            shown = [1.0] if is_log else [0.0, 1.0]
        least = min(shown) if low is None else low
        most = max(shown) if high is None else high
        if is_log:
            # A factor of 2 at least, or there is nothing to see.
            middle = math.sqrt(least) * math.sqrt(most)
            least = min(least, middle / math.sqrt(2))
            most = max(most, middle * math.sqrt(2))
            return cls(least, most, True)
        if most - least <= 1e-9 * max(abs(most), abs(least)):
            # One value: it lies in the middle, or at an end that is known.
            room = abs(most) / 2 or 1.0
            least = least - room if low is None else least
            most = most + room if high is None or low is not None else most
        step = _step(least, most, 4)
        if low is None:
            least = step * math.floor(least / step + 1e-9)
        if high is None:
            most = step * math.ceil(most / step - 1e-9)
        return cls(least, most)

    def place(self, value: float) -> float:
        """Where a value lies, 0 to 1; those outside are at the end."""
        low, high = self.low, self.high
        if self.is_log:
            value = math.log(max(value, low))
            low, high = math.log(low), math.log(high)
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self, number: int = 5) -> list[float]:
        """Round values of the scale, about so many."""
        if not self.is_log:
            step = _step(self.low, self.high, number)
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            return [float(f"{step * i:.10g}") for i in range(first, last + 1)]
        first = math.floor(math.log10(self.low))
        last = math.ceil(math.log10(self.high))
        for parts in ((1,), (1, 3), (1, 2, 5)):
            every = max(1, math.ceil((last - first) / number))
            found = [
                part * 10.0**power
                for power in range(first, last + 1, every)
                for part in parts
            ]
            low, high = self.low / 1.0001, self.high * 1.0001
            found = [value for value in found if low <= value <= high]
            if len(found) >= 3:
                return found
        # Less than a factor of 10: equal steps say more.
        return Scale(self.low, self.high).ticks(3)


def _step(low: float, high: float, number: int) -> float:
    """A round step that goes from one end to the other about so often."""
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= 0.999 * rough)
