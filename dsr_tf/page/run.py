"""What the folder of a run holds, all that a page shows of it."""

import dataclasses
import math
import os
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Self
from typing import TypeVar

from dsr_tf.page import logs
from dsr_tf.page.ages import Ages
from dsr_tf.page.moves import Moves
from dsr_tf.training import mask_pictures
from dsr_tf.training.mask_pictures import MaskPictures

# Of `metrics.csv`: what runs without it have not is no damage.
_CURVES = (
    "loss",
    "accuracy",
    "test_loss",
    "test_accuracy",
    "learning_rate",
)
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: Its folder.
        summary: Dict as in `summary.json`.
        curves: Dict from a column of `metrics.csv` to a number an epoch;
            empty where there is no such file.
        moves: Its reallocations, None if there were none.
        ages: How old weights got, None if that was not noted.
        pictures: Its masks, None if there are no pictures.
    """

    folder: str
    summary: Mapping[str, Any]
    curves: Mapping[str, list[float]] = dataclasses.field(default_factory=dict)
    moves: Moves | None = None
    ages: Ages | None = None
    pictures: MaskPictures | None = None

    @classmethod
    def read(cls, folder: str, summary: Mapping[str, Any]) -> Self:
        """Read what lies beside a summary.

        Args:
            folder: The folder.
            summary: Its summary, which has been checked.

        Raises:
            ValueError: in one sentence, if a file cannot be read.
        """
        kernels = {
            k["path"]: (k["size"], k["num_active"]) for k in summary["kernels"]
        }

        def table(name: str, read: Callable[[str], _T]) -> _T:
            path = os.path.join(folder, name)
            try:
                return read(path)
            except FileNotFoundError:
                raise
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise ValueError(f"{path} cannot be read ({reason})") from error

        def maybe(name: str, read: Callable[[str], _T]) -> _T | None:
            try:
                return table(name, read)
            except FileNotFoundError:
                return None

        moves = ages = None
        if summary["num_reallocations"] and kernels:
            try:
                moves = table(
                    "reallocations.csv", lambda path: Moves.read(path, kernels)
                )
            except FileNotFoundError as error:
                raise ValueError(
                    f"{os.path.join(folder, 'reallocations.csv')} cannot be "
                    f"read ({error.strerror})"
                ) from error
            ages = maybe(
                "ages.csv", lambda path: Ages.read(path, list(kernels))
            )
        return cls(
            folder=folder,
            summary=summary,
            curves=maybe("metrics.csv", _read_curves) or {},
            moves=moves,
            ages=ages,
            pictures=mask_pictures.read(folder),
        )

    @property
    def name(self) -> str:
        """The last part of the folder's path."""
        return os.path.basename(os.path.abspath(self.folder)) or self.folder

    @property
    def title(self) -> str:
        """What was trained, on what, and how."""
        summary = self.summary
        parts = [f"{summary['model']} on {summary['dataset']}"]
        parts += [summary[x] for x in ("method", "phase") if x in summary]
        return ", ".join(parts)


def _read_curves(path: str) -> dict[str, list[float]]:
    table = logs.read(path)
    return {
        name: [n if math.isfinite(n) else math.nan for n in table.floats(name)]
        for name in _CURVES
        if name in table
    }
