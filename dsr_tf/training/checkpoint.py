"""Checkpoints of a run: all it needs to go on, whole or not at all.

One `.npz` file holds all variables of the model (weights, masks, the state
of reallocation, seeds, metrics) and of its optimizer, the settings of the
run and the tables that it has written; what is mostly zeros is packed. A
digest is over everything, names and shapes included: what has changed in
any place is damaged, and never restored. Keras' own weight files leave out
the seeds of random layers.
"""

import dataclasses
import functools
import itertools
import json
import os
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from absl import logging

from dsr_tf.command_line import RunError
from dsr_tf.command_line import UsageError
from dsr_tf.core import sparse_arrays
from dsr_tf.layers import kept_state
from dsr_tf.training import archive
from dsr_tf.training import files
from dsr_tf.training import stored_variables

_PATTERN = re.compile(r"step-(0|[1-9][0-9]*)\.npz")
# Files of format 2 have no names for what callbacks keep; older files have
# no number of a format, no digest, and no tables.
_FORMAT = 3


class Damaged(UsageError):
    """A file that is not as it was written."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read.

    Attributes:
        path: The file.
        format: Number of its format.
        step: Number of updates before it.
        num_batches: Number of batches before it, in float16 more than that.
        settings: Dict of plain values, those of the run.
        names: Names of the variables.
        shapes: Their shapes.
        state: What callbacks keep, see `stored_variables.state`; None in
            files that have it among the variables.
        tables: Dict from the name of a table to its text, as far as it had
            been written; None in the oldest files.
        storages: How layers store weights, see `stored_variables.storages`;
            None in files of before.
        stored: Dict of their values as the file holds them.
        architecture: Text of the network; None where flags describe it.
    """

    path: str | os.PathLike
    format: int
    step: int
    num_batches: int
    settings: dict
    names: list[str]
    shapes: list[tuple[int, ...]]
    state: list[dict] | None
    tables: dict[str, str] | None
    storages: list[list] | None
    stored: dict[str, np.ndarray]
    architecture: str | None = None

    @functools.cached_property
    def values(self) -> list[np.ndarray]:
        """Values of the variables, arrays.

        A packed one takes as much memory as its shape says, so the shapes
        must be checked first.
        """
        try:
            return [
                sparse_arrays.get(self.stored, f"{number:05d}", shape)
                for number, shape in enumerate(self.shapes)
            ]
        except Exception as error:  # Damage raises errors of any kind.
            raise _damaged(self.path, error) from error


def save(
    folder: str | os.PathLike,
    model: keras.Model,
    step: int,
    settings: dict,
    num_kept: int = 2,
    tables: Mapping[str, str] | None = None,
    architecture: str | None = None,
    num_batches: int | None = None,
) -> None:
    """Write a checkpoint and delete all but the newest.

    Args:
        folder: Folder of checkpoints; made where it does not exist.
        model: A compiled Keras model whose optimizer is built.
        step: Number of updates so far.
        settings: Dict of plain values.
        num_kept: Number of checkpoints to leave, at least 1.
        tables: Dict from the name of a table of the run to its text.
        architecture: Text of a network that flags do not describe.
        num_batches: Number of batches so far; as many as updates, if None.

    Raises:
        RunError: if a weight is no longer a finite number; nothing is
            written or deleted then.
        OSError: if it cannot be written; nothing is deleted then.
    """
    entries = stored_variables.entries(model, _FORMAT)
    names = [entry.name for entry in entries]
    arrays = [entry.array for entry in entries]
    for name, array in zip(names, arrays):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RunError(
                f"{name} holds numbers that are not finite at step {step}; "
                f"{_newest_is(folder, step)}. Try a smaller --learning_rate"
            )
    header = {
        "format": _FORMAT,
        "step": step,
        "batches": step if num_batches is None else num_batches,
        "settings": settings,
        "names": names,
        "shapes": [array.shape for array in arrays],
        "state": stored_variables.state(model),
        "storages": stored_variables.storages(model),
        "tables": tables or {},
        "architecture": architecture,
    }
    stored: dict[str, Any] = {
        "header": np.frombuffer(json.dumps(header).encode(), "uint8")
    }
    for number, array in enumerate(arrays):
        sparse_arrays.put(stored, f"{number:05d}", array)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"step-{step}.npz")
    with files.written_whole(path) as file:
        np.savez(file, digest=archive.digest(stored), **stored)
    _delete_others(folder, step, num_kept)


def _delete_others(folder: str | os.PathLike, step: int, num_kept: int) -> None:
    """Delete old checkpoints, and what cannot be read.

    A run goes on from the newest that can be read, so a file of a later
    step than it has reached is a damaged one.
    """
    steps = _steps(folder)
    kept = [other for other in steps if other <= step][-num_kept:]
    for other in set(steps) - set(kept):
        path = os.path.join(folder, f"step-{other}.npz")
        if os.path.isfile(path):
            os.remove(path)


def read_newest(folder: str | os.PathLike) -> Checkpoint | None:
    """The newest checkpoint in a folder that can be read.

    A damaged one is passed over, with a warning; so is a file that was
    being written when the run was killed.

    Args:
        folder: Folder of checkpoints; may be missing.

    Returns:
        A `Checkpoint`, or None if there is none.

    Raises:
        UsageError: if all that there are are damaged.
        OSError: if the folder cannot be read.
    """
    steps = _steps(folder)
    for step in reversed(steps):
        path = os.path.join(folder, f"step-{step}.npz")
        try:
            return read(path)
        except Damaged as error:
            logging.warning("%s; trying the one before it", error)
    if steps:
        raise UsageError(
            f"flag --resume: no checkpoint in {folder} can be read; give "
            "another --output_dir to start anew"
        )
    return None


def read(path: str | os.PathLike) -> Checkpoint:
    """Read a checkpoint, all of it, so that damage shows.

    Raises:
        Damaged: if the file is damaged, or no file.
        UsageError: if it was written by a later version.
    """
    try:
        stored = archive.read(path)
        digest, header = stored.pop("digest", None), stored["header"]
        if header.dtype.kind == "U":
            return _read_old(path, stored)
        header = json.loads(header.tobytes())
        if header["format"] <= _FORMAT:
            if digest is None or not np.array_equal(
                digest, archive.digest(stored)
            ):
                raise ValueError("its digest is another")
            return _checked(path, header, header["tables"], stored)
    except Exception as error:  # Damage raises errors of any kind.
        raise _damaged(path, error) from error
    raise UsageError(
        f"the checkpoint {path} has format {header['format']}, of a later "
        f"version of dsr_tf; this one reads up to {_FORMAT}"
    )


def _read_old(
    path: str | os.PathLike, stored: dict[str, np.ndarray]
) -> Checkpoint:
    header = json.loads(str(stored["header"]))
    numbers = [f"{number:05d}" for number in range(len(header["names"]))]
    # Before there were shapes nothing was packed.
    if "shapes" not in header:
        header["shapes"] = [stored[number].shape for number in numbers]
    return _checked(path, header, None, stored)


def _checked(
    path: str | os.PathLike,
    header: dict[str, Any],
    tables: dict | None,
    stored: dict[str, np.ndarray],
) -> Checkpoint:
    """A `Checkpoint` whose parts are what they should be."""
    names, shapes, step = header["names"], header["shapes"], header["step"]
    format, state = header.get("format", 1), header.get("state")
    architecture, storages = header.get("architecture"), header.get("storages")
    num_batches = header.get("batches", step)
    has_state = format >= stored_variables.FIRST_WITH_STATE_APART
    numbers = {f"{number:05d}" for number in range(len(names))}
    found = [name.partition(".") for name in stored]
    is_right = (
        {number for number, _, _ in found} == {"header"} | numbers
        and {part for _, _, part in found} <= {"", "gaps", "values"}
        and len(shapes) == len(names)
        and all(type(n) is int and n >= 0 for shape in shapes for n in shape)
        and type(format) is int
        and type(step) is type(num_batches) is int
        and num_batches >= step >= 0
        and isinstance(header["settings"], dict)
        and isinstance(tables, dict | None)
        and isinstance(architecture, str | None)
        and isinstance(storages, list | None)
        and all(isinstance(text, str) for text in (tables or {}).values())
        and isinstance(state, list) == has_state
        and all(isinstance(numbers, dict) for numbers in state or [])
    )
    if not is_right:
        raise ValueError("its parts do not fit together")
    return Checkpoint(
        path,
        format,
        step,
        num_batches,
        header["settings"],
        names,
        [tuple(shape) for shape in shapes],
        state,
        tables,
        storages,
        stored,
        architecture,
    )


def _damaged(path: str | os.PathLike, error: Exception) -> Damaged:
    if isinstance(error, OSError) and error.filename:
        reason = f"cannot be read ({error.strerror})"
    else:
        words = " ".join(str(error).split()) or type(error).__name__
        reason = f"is damaged ({words[:200]})"
    return Damaged(f"the checkpoint {path} {reason}")


def restore(checkpoint: Checkpoint, model: keras.Model) -> None:
    """Give every variable of a model and its optimizer its value.

    Raises:
        UsageError: if the checkpoint is of another model or method, or of
            one without masks, or is damaged; nothing has changed then.
    """
    wanted = stored_variables.entries(
        model, checkpoint.format, checkpoint.names
    )
    names = [entry.name for entry in wanted]
    # Earlier versions wrote numbers of seeds.
    found = [stored_variables.lasting_name(n) for n in checkpoint.names]
    if names != found:
        pairs = itertools.zip_longest(names, found)
        strange = next(
            ours or theirs for ours, theirs in pairs if ours != theirs
        )
        raise UsageError(
            f"the checkpoint {checkpoint.path} is of another model or "
            f"method: it differs at {strange}"
        )
    for entry, shape in zip(wanted, checkpoint.shapes):
        if entry.shape != shape:
            raise UsageError(
                f"the checkpoint {checkpoint.path} is of another model: "
                f"{entry.name} has shape {shape} there and {entry.shape} here"
            )
    for entry, value in zip(wanted, checkpoint.values):
        if value.shape != entry.shape or value.dtype != entry.dtype:
            raise Damaged(
                f"the checkpoint {checkpoint.path} is damaged: "
                f"{entry.name} is {value.dtype} of shape {value.shape} in "
                f"it, not {entry.dtype} of {entry.shape}"
            )
    try:
        for entry, value in zip(wanted, checkpoint.values):
            entry.check(value)
        states = stored_variables.checked_state(model, checkpoint.state)
    except ValueError as error:
        raise _damaged(checkpoint.path, error) from error
    for entry, value in zip(wanted, checkpoint.values):
        entry.assign(value)
    for layer, numbers in states:
        kept_state.assign(layer, numbers)


def _newest_is(folder: str | os.PathLike, step: int) -> str:
    if steps := [other for other in _steps(folder) if other <= step]:
        return f"the last checkpoint is of step {steps[-1]}"
    return "there is no checkpoint"


def _steps(folder: str | os.PathLike) -> list[int]:
    if not os.path.isdir(folder):
        return []
    matches = (_PATTERN.fullmatch(name) for name in os.listdir(folder))
    return sorted(int(match[1]) for match in matches if match)
