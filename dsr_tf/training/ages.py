"""How old active weights are: which reallocation made each of them active."""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any
from typing import Self

import keras
import numpy as np

from dsr_tf.command_line import UsageError
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.training.checkpoint import Checkpoint

# Ages are counted in classes; each begins here and ends before the next.
CLASSES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
# What a checkpoint calls the text of `Ages`, beside its tables.
NAME = "ages"


class Ages:
    """Follows active weights from one reallocation to the next.

    The age of a weight is the number of reallocations that it has survived:
    0 as long as none came after the one that it grew in. Masks are compared
    with those of the reallocation before, so that it is true of any method;
    what moves inside of training steps, to and back, has not moved.

    Args:
        masked: List of `MaskedWeight`, those that may move.
    """

    def __init__(self, masked: Sequence[MaskedWeight]) -> None:
        self._masked = list(masked)
        self._count = 0
        self._places = {w.path: w.variable.places() for w in masked}
        # The number of the reallocation that a group grew in, in the order
        # of places; 0 for those that were active at the start.
        self._born = {
            path: np.zeros(len(places), "int32")
            for path, places in self._places.items()
        }

    @classmethod
    def restored(cls, masked: Sequence[MaskedWeight], text: str) -> Self:
        """Those that go on where `text` was taken.

        Raises:
            ValueError: if it is not the text of such masks.
        """
        ages = cls(masked)
        try:
            state = json.loads(text)
            ages._count = int(state["count"])
            for path, born in ages._born.items():
                ages._born[path] = _unpack(state["born"][path], len(born))
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise ValueError(
                f"the ages of its weights are damaged ({error})"
            ) from error
        return ages

    @property
    def text(self) -> str:
        """All that a run needs to go on, as checkpoints hold it."""
        born = {path: _pack(born) for path, born in self._born.items()}
        return json.dumps({"count": self._count, "born": born})

    def look(self, step: int) -> dict[str, Any]:
        """Compare masks after a reallocation with those of the last.

        Args:
            step: Number of updates so far.

        Returns:
            A row for `ages.csv`; numbers are weights. `age:N` are active
            weights of the class of ages that begins with N, without those
            that have been active from the start, which are `from_start`. Of
            each kernel: `grown:PATH`; `pruned_at_once:PATH`, those pruned
            now that the reallocation before had grown; `from_start:PATH`;
            and the mean age of all that are active, `mean_age:PATH`.
        """
        self._count += 1
        row: dict[str, Any] = {"step": step}
        classes = np.zeros(len(CLASSES), "int64")
        columns: dict[str, dict[str, Any]] = {
            name: {}
            for name in ("grown", "pruned_at_once", "from_start", "mean_age")
        }
        for weight in self._masked:
            path, size = weight.path, weight.group_size
            lost = self._follow(weight)
            born = self._born[path]
            ages = self._count - born
            which = np.searchsorted(CLASSES, ages[born > 0], "right") - 1
            classes += size * np.bincount(which, minlength=len(CLASSES))
            at_once = np.count_nonzero(lost == self._count - 1)
            columns["grown"][path] = size * np.count_nonzero(ages == 0)
            # Nothing had been grown before the first.
            columns["pruned_at_once"][path] = (
                size * at_once if self._count > 1 else 0
            )
            columns["from_start"][path] = size * np.count_nonzero(born == 0)
            mean = float(ages.mean()) if len(ages) else 0.0
            columns["mean_age"][path] = round(mean, 3)
        row.update({f"age:{n}": k for n, k in zip(CLASSES, classes.tolist())})
        row["from_start"] = sum(columns["from_start"].values())
        for name, numbers in columns.items():
            row.update({f"{name}:{path}": n for path, n in numbers.items()})
        return row

    def _follow(self, weight: MaskedWeight) -> np.ndarray:
        """Take over the mask as it is; returns when those grew that went."""
        path = weight.path
        before, born = self._places[path], self._born[path]
        places = weight.variable.places()
        now = np.full(len(places), self._count, "int32")
        # Both are ascending.
        where = np.searchsorted(places, before)
        stays = where < len(places)
        stays[stays] = places[where[stays]] == before[stays]
        now[where[stays]] = born[stays]
        self._places[path], self._born[path] = places, now
        return born[~stays]


def followed(model: keras.Model, newest: Checkpoint | None) -> Ages | None:
    """The ages of a run's weights.

    Args:
        model: The model.
        newest: The checkpoint that the run goes on from; None at its start.

    Returns:
        Them; None where the checkpoint is one of before, without ages.

    Raises:
        UsageError: if the checkpoint is damaged.
    """
    moving = [w for w in masked_weights(model) if w.trainable]
    if newest is None:
        return Ages(moving)
    text = (newest.tables or {}).get(NAME)
    if text is None:
        return None
    try:
        return Ages.restored(moving, text)
    except ValueError as error:
        raise UsageError(
            f"flag --resume: in the checkpoint {newest.path} {error}"
        ) from error


def _pack(born: np.ndarray) -> str:
    data = zlib.compress(born.astype("<i4").tobytes(), level=1)
    return base64.b64encode(data).decode()


def _unpack(text: str, number: int) -> np.ndarray:
    """So many numbers, however many the text claims to hold."""
    decoder = zlib.decompressobj()
    data = decoder.decompress(base64.b64decode(text), 4 * number + 1)
    if len(data) != 4 * number:
        raise ValueError(f"they are not those of {number} active groups")
    return np.frombuffer(data, "<i4").astype("int32")
