"""How often weights move: every so many updates, or so often in an epoch."""

from collections.abc import Mapping

from dsr_tf.core.schedule import Schedule

AUTO = "auto"
# Where nobody knows how many updates an epoch has: as in the paper's
# trainings on CIFAR-10, so that the periods are those of its Table 4.
UNKNOWN_STEPS_PER_EPOCH = 500
_REALLOCATIONS_PER_EPOCH = 5
_MULTIPLES = Schedule({0: 1, 25: 2, 50: 4, 75: 8}, integer=True)


class AutomaticPeriod:
    """Five reallocations in an epoch, half as many from epochs 25, 50 and 75.

    This is what all three networks of the paper have (Table 4): ResNet-50,
    with 5,004 updates in an epoch, periods of 1000, 2000, 4000 and 8000 from
    these epochs on; WRN-28-2, with 500, periods of 100, 200, 400 and 800 from
    epochs 0, 25, 80 and 140 of 200; LeNet-300-100, with 600, the same
    periods from epochs 0, 25, 50 and 75, which is six in an epoch.

    Args:
        multiples: What the first period is multiplied by, from which epoch
            on.
    """

    def __init__(self, multiples: Schedule = _MULTIPLES) -> None:
        self._multiples = multiples

    def in_updates(self, steps_per_epoch: int) -> Schedule:
        """The periods for epochs of so many updates, at least 1."""
        first = max(1, steps_per_epoch // _REALLOCATIONS_PER_EPOCH)
        return Schedule(
            {epoch: first * m for epoch, m in self._multiples.values.items()},
            "period",
            integer=True,
        )

    def scaled(self, factor: float) -> "AutomaticPeriod":
        """The same with every epoch multiplied by `factor`."""
        return AutomaticPeriod(self._multiples.scaled(factor))

    def __repr__(self) -> str:
        return AUTO


AnyPeriod = Schedule | AutomaticPeriod


def get(period: int | Mapping[int, int] | str | AnyPeriod) -> AnyPeriod:
    """The period that is meant.

    Args:
        period: `"auto"`, an `AutomaticPeriod`, or what `Schedule` takes.

    Raises:
        ValueError: if it is none of these.
    """
    if isinstance(period, AutomaticPeriod):
        return period
    if period == AUTO:
        return AutomaticPeriod()
    return Schedule(period, "period", integer=True, also=f"'{AUTO}', ")


def in_updates(period: AnyPeriod, steps_per_epoch: int) -> Schedule:
    """The period as a schedule of numbers of updates.

    Args:
        period: What `get` returns.
        steps_per_epoch: Number of updates in an epoch.
    """
    if isinstance(period, AutomaticPeriod):
        return period.in_updates(steps_per_epoch)
    return period
