"""Values that change with the epoch: `{first_epoch: value}`.

Periods and learning rates are given as one number or as such a schedule,
in flags written `0:100,25:200,50:400,75:800`. Epochs count from 0.
"""

from dsr_tf.checks import is_integer
from dsr_tf.checks import is_number


class Schedule:
    """A value for every epoch.

    Args:
        value: A positive number; or a dict `{first_epoch: number}` with a
            value from epoch 0 on; or either of them as a string.
        name: What to call it in messages.
        integer: Whether the numbers must be whole.

    Raises:
        ValueError: if `value` is none of these.
    """

    def __init__(self, value, name="schedule", integer=False):
        self._received, self._name, self._integer = value, name, integer
        if isinstance(value, Schedule):
            value = value.values
        if isinstance(value, str):
            value = self._parse(value)
        if not isinstance(value, dict):
            value = {0: value}
        if 0 not in value:
            self._refuse()
        for epoch, number in value.items():
            if not is_integer(epoch) or epoch < 0:
                self._refuse()
            if not is_number(number) or not number > 0:
                self._refuse()
            if integer and not is_integer(number):
                self._refuse()
        self.values = dict(sorted(value.items()))

    def __call__(self, epoch):
        """The value at `epoch`."""
        return self.values[max(e for e in self.values if e <= epoch)]

    def scaled(self, factor):
        """The schedule with every boundary multiplied by `factor`.

        Boundaries are rounded; of two that fall on one epoch the later
        value counts.
        """
        return Schedule(
            {round(e * factor): value for e, value in self.values.items()},
            self._name,
            self._integer,
        )

    def __repr__(self):
        return ",".join(f"{e}:{value:g}" for e, value in self.values.items())

    def _parse(self, text):
        number = int if self._integer else float
        try:
            if ":" not in text:
                return number(text)
            pairs = [part.split(":") for part in text.split(",")]
            return {int(epoch): number(value) for epoch, value in pairs}
        except ValueError:
            self._refuse()

    def _refuse(self):
        kind = "integer" if self._integer else "number"
        raise ValueError(
            f"`{self._name}` must be a positive {kind}, or a schedule "
            "{first_epoch: value} that starts at epoch 0 (as a flag: "
            f"0:VALUE,EPOCH:VALUE,...). Received: {self._name}="
            f"{self._received!r}"
        ) from None
