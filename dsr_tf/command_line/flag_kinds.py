"""The kinds of values that flags take: parsers for absl."""

import math
import re
from collections.abc import Callable
from typing import Any

from absl import flags

from dsr_tf.command_line.naming import without_argument
from dsr_tf.core import period as periods
from dsr_tf.core.period import AUTO
from dsr_tf.core.period import AutomaticPeriod
from dsr_tf.core.schedule import Schedule

# What fits into 32 bits; no count of anything here is larger.
LARGEST_INTEGER = 2**31 - 1
# Arithmetic is in float32, where more is infinity.
LARGEST_NUMBER = 3.4e38


class Whole(flags.ArgumentParser):
    """An integer from `minimum` to `maximum`."""

    def __init__(
        self, minimum: int = 0, maximum: float = LARGEST_INTEGER
    ) -> None:
        self.minimum, self.maximum = minimum, maximum

    def parse(self, argument: Any) -> Any:
        try:
            value = int(argument)
        except (TypeError, ValueError):
            value = None
        if value is None or value < self.minimum:
            raise ValueError(
                f"must be an integer of at least {self.minimum}"
            ) from None
        if value > self.maximum:
            raise ValueError(f"must be an integer of at most {self.maximum}")
        return value

    def flag_type(self) -> str:
        return "integer"


class Number(flags.ArgumentParser):
    """A number from `minimum` (or above it) to below `limit`."""

    def __init__(
        self,
        minimum: float = 0.0,
        limit: float = LARGEST_NUMBER,
        above: bool = False,
    ) -> None:
        self.minimum, self.limit, self.above = minimum, limit, above

    def parse(self, argument: Any) -> Any:
        try:
            value = float(argument)
        except (TypeError, ValueError):
            value = None
        if value is None or not self._accepts(value):
            start = "above" if self.above else "of at least"
            raise ValueError(
                f"must be a number {start} {self.minimum:g} and below "
                f"{self.limit:g}"
            )
        return value

    def _accepts(self, value: float) -> bool:
        low = value > self.minimum if self.above else value >= self.minimum
        return low and value < self.limit

    def flag_type(self) -> str:
        return "number"


class CountOrShare(flags.ArgumentParser):
    """An integer from 1 to `maximum`, or a number in (0, 1)."""

    def __init__(self, maximum: int = LARGEST_INTEGER) -> None:
        self.maximum = maximum

    def parse(self, argument: Any) -> Any:
        for kind in (Whole(1, math.inf), Number(0, 1, above=True)):
            try:
                value = kind.parse(argument)
            except ValueError:
                continue
            if value > self.maximum:
                raise ValueError(f"must be at most {self.maximum}")
            return value
        raise ValueError(
            "must be an integer of at least 1, or a share above 0 and below 1"
        )

    def flag_type(self) -> str:
        return "integer or share"


class Density(Number):
    """A share of active weights, in (0, 1]."""

    # Sparsities are rounded to twelve digits.
    least = 1e-12

    def parse(self, argument: Any) -> Any:
        try:
            value = float(argument)
        except (TypeError, ValueError):
            value = 0.0
        if not self.least <= value <= 1:
            raise ValueError(
                f"must be a number above 0 (at least {self.least:g}) and at "
                "most 1"
            )
        return value


class Steps(flags.ArgumentParser):
    """A positive number or a schedule of them, see `dsr_tf.core.schedule`."""

    def __init__(self, integer: bool = False) -> None:
        self.integer = integer

    def parse(self, argument: Any) -> Any:
        try:
            schedule = Schedule(argument, "value", integer=self.integer)
        except ValueError:
            kind = "integer" if self.integer else "number"
            raise ValueError(
                f"must be a positive {kind}, or a schedule from epoch 0 such "
                "as 0:100,25:200, each epoch once"
            ) from None
        largest = LARGEST_INTEGER if self.integer else LARGEST_NUMBER
        if max(schedule.values.values()) > largest:
            raise ValueError(f"must have values of at most {largest}")
        if max(schedule.values) > LARGEST_INTEGER:
            raise ValueError(f"must have epochs of at most {LARGEST_INTEGER}")
        return schedule

    def flag_type(self) -> str:
        return "schedule"


class Period(Steps):
    """A schedule of integers, or `auto`, see `dsr_tf.core.period`."""

    def __init__(self) -> None:
        super().__init__(integer=True)

    def parse(self, argument: Any) -> Any:
        if argument == AUTO or isinstance(argument, AutomaticPeriod):
            return periods.get(argument)
        try:
            return super().parse(argument)
        except ValueError as error:
            raise ValueError(f"{error}; or {AUTO}") from None


class ListOf(flags.ArgumentParser):
    """Values separated by commas, each read by `item`.

    Args:
        item: Function from text to a value.
        distinct: Whether no value may be there twice.
    """

    def __init__(
        self, item: Callable[[str], Any], distinct: bool = False
    ) -> None:
        self.item, self.distinct = item, distinct

    def parse(self, argument: Any) -> Any:
        if isinstance(argument, list):
            return argument
        values = [self.item(part) for part in argument.split(",") if part]
        if not values:
            raise ValueError("must be a list of values separated by commas")
        for index, value in enumerate(values if self.distinct else []):
            if value in values[:index]:
                raise ValueError(f"{value} is there twice")
        return values

    def flag_type(self) -> str:
        return "list"


class Named(flags.ArgumentParser):
    """A text that `lookup` takes, which raises an error for others."""

    def __init__(self, lookup: Callable[[str], Any]) -> None:
        self.lookup = lookup

    def parse(self, argument: Any) -> Any:
        try:
            self.lookup(argument)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(
                f"must be a regular expression ({error})"
            ) from None
        except ValueError as error:
            raise ValueError(without_argument(str(error))) from None
        return argument

    def flag_type(self) -> str:
        return "text"
