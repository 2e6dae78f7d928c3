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
from dsr_tf.reallocation.record import Moves
from dsr_tf.reallocation.record import Record
from dsr_tf.training.checkpoint import Checkpoint

# Ages are counted in classes; each begins here and ends before the next.
CLASSES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
# What a checkpoint calls the text of `Ages`, beside its tables.
NAME = "ages"


class Ages:
    """Follows active weights from one reallocation to the next.

    The age of a weight is the number of reallocations that it has survived:
    0 as long as none came after the one that it grew in. Records say what
    has moved, which costs as much as there are active weights, where reading
    masks costs as much as there are weights. What moves inside of training
    steps, to and back, has not moved.

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

    def look(self, record: Record) -> dict[str, Any]:
        """Follow a reallocation.

        Args:
            record: The `Record` of it.

        Returns:
            A row for `ages.csv`; numbers are weights. `age:N` are active
            weights of the class of ages that begins with N, without those
            that have been active from the start, which are `from_start`. Of
            each kernel: `grown:PATH`; `pruned_at_once:PATH`, those pruned
            now that the reallocation before had grown; `from_start:PATH`;
            and the mean age of all that are active, `mean_age:PATH`.
        """
        self._count += 1
        row: dict[str, Any] = {"step": record.step}
        ages = np.arange(self._count, -1, -1)  # By when a group grew.
        classes = np.searchsorted(CLASSES, ages[1:], "right") - 1
        in_classes = np.zeros(len(CLASSES), "int64")
        columns: dict[str, dict[str, Any]] = {
            name: {}
            for name in ("grown", "pruned_at_once", "from_start", "mean_age")
        }
        for weight in self._masked:
            path, size = weight.path, int(weight.group_size)
            lost = self._follow(weight, record)
            born = np.bincount(self._born[path], minlength=len(ages))
            np.add.at(in_classes, classes, size * born[1:])
            at_once = np.count_nonzero(lost == self._count - 1)
            columns["grown"][path] = size * int(born[self._count])
            # Nothing had been grown before the first.
            columns["pruned_at_once"][path] = (
                size * at_once if self._count > 1 else 0
            )
            columns["from_start"][path] = size * int(born[0])
            mean = int(ages @ born) / max(1, int(born.sum()))
            columns["mean_age"][path] = round(mean, 3)
        row.update(
            {f"age:{n}": k for n, k in zip(CLASSES, in_classes.tolist())}
        )
        row["from_start"] = sum(columns["from_start"].values())
        for name, numbers in columns.items():
            row.update({f"{name}:{path}": n for path, n in numbers.items()})
        return row

    def _follow(self, weight: MaskedWeight, record: Record) -> np.ndarray:
        """Let groups go and come; returns when those grew that went."""
        path = weight.path
        places, born = self._places[path], self._born[path]
        moves = _moves(weight, places, record)
        # All are ascending.
        went = np.searchsorted(places, moves.pruned)
        lost = born[went]
        stays = np.ones(len(places), "bool")
        stays[went] = False
        places, born = places[stays], born[stays]
        grown = moves.grown
        comes = np.zeros(len(places) + len(grown), "bool")
        comes[np.searchsorted(places, grown) + np.arange(len(grown))] = True
        self._places[path] = _merged(comes, grown, places)
        self._born[path] = _merged(comes, self._count, born)
        return lost


def _merged(comes: np.ndarray, new: Any, old: np.ndarray) -> np.ndarray:
    """`old` with `new` where `comes` says; at once for both arrays of a
    kernel, where `np.insert` would sort for each."""
    merged = np.empty(len(comes), old.dtype)
    merged[comes] = new
    merged[~comes] = old
    return merged


def _moves(weight: MaskedWeight, before: np.ndarray, record: Record) -> Moves:
    """Those of a kernel.

    Only where weights move inside of training steps, as by DeepR, the mask
    is read and compared with the places of before: a record of all that
    moved there, most of it to and back, would cost each step.
    """
    if record.moves is not None:
        return record.moves[weight.path]
    now = weight.variable.places()
    return Moves(
        np.setdiff1d(before, now, assume_unique=True),
        np.setdiff1d(now, before, assume_unique=True),
    )


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
