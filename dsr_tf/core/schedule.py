"""Values that change with the epoch: `{first_epoch: value}`.

Periods and learning rates are given as one number or as such a schedule,
in flags written `0:100,25:200,50:400,75:800`. Epochs count from 0.
"""

import math
from collections.abc import Mapping
from typing import NoReturn

from dsr_tf.core.checks import is_integer
from dsr_tf.core.checks import is_number


class Schedule:
    """A value for every epoch.

    Args:
        value: A positive, finite number; or a dict `{first_epoch: number}`
            with a value from epoch 0 on; or either of them as a string, in
            which no epoch may stand twice.
        name: What to call it in messages.
        integer: Whether the numbers must be whole.
        also: What else is accepted, for messages.

    Raises:
        ValueError: if `value` is none of these.
    """

    def __init__(
        self,
        value: "float | Mapping[int, float] | str | Schedule",
        name: str = "schedule",
        integer: bool = False,
        also: str = "",
    ) -> None:
        self._received, self._name, self._integer = value, name, integer
        self._also = also
        if isinstance(value, Schedule):
            value = value.values
        if isinstance(value, str):
            value = self._parse(value)
        given = value if isinstance(value, Mapping) else {0: value}
        if 0 not in given:
            self._refuse()
        for epoch in given:
            if not is_integer(epoch) or epoch < 0:
                self._refuse()
        self.values: dict[int, float] = {
            int(epoch): self._plain(given[epoch]) for epoch in sorted(given)
        }

    def __call__(self, epoch: int) -> float:
        """The value at `epoch`."""
        return self.values[max(e for e in self.values if e <= epoch)]

    def scaled(self, factor: float) -> "Schedule":
        """The schedule with every boundary multiplied by `factor`.

        Boundaries are rounded; of two that fall on one epoch the later
        value counts.
        """
        return Schedule(
            {round(e * factor): value for e, value in self.values.items()},
            self._name,
            self._integer,
        )

    def same_as(self, written: str) -> bool:
        """Whether `written`, as an earlier run noted it, has these values.

        Runs of before wrote `1e+06` for 1000000.
        """
        try:
            other = Schedule(written, self._name, self._integer)
        except ValueError:
            return False
        return other.values == self.values

    def __repr__(self) -> str:
        """As written in flags; it reads back as the very same values."""
        return ",".join(f"{e}:{exact(x)}" for e, x in self.values.items())

    def _plain(self, number: float) -> float:
        """`number` as Python's own int or float."""
        if not is_number(number) or not number > 0:
            self._refuse()
        if self._integer and not is_integer(number):
            self._refuse()
        if self._integer:
            return int(number)
        try:
            number = float(number)
        except OverflowError:
            number = math.inf
        if number == math.inf:
            self._refuse()
        return number

    def _parse(self, text: str) -> float | dict[int, float]:
        try:
            if ":" not in text:
                return self._number(text)
            pairs = [part.split(":") for part in text.split(",")]
            values = {int(e): self._number(value) for e, value in pairs}
        except (ValueError, OverflowError):
            self._refuse()
        if len(values) < len(pairs):
            self._refuse()
        return values

    def _number(self, text: str) -> float:
        if not self._integer:
            return float(text)
        try:
            return int(text)
        except ValueError:
            number = float(text)  # As `1e6`.
        return int(number) if number.is_integer() else number

    def _refuse(self) -> NoReturn:
        kind = "integer" if self._integer else "number"
        raise ValueError(
            f"`{self._name}` must be {self._also}a positive {kind}, or a "
            "schedule {first_epoch: value} that starts at epoch 0 (as a flag: "
            "0:VALUE,EPOCH:VALUE,..., each epoch once). Received: "
            f"{self._name}={self._received!r}"
        ) from None


def exact(number: float) -> str:
    """The shortest text that reads back as the very same number."""
    if is_integer(number):
        return str(number)
    short = f"{number:g}"
    return short if float(short) == number else repr(number)
