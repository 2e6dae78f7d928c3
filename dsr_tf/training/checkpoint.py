"""Checkpoints of a run: every variable, written whole or not at all.

One `.npz` file holds all variables of the model (weights, masks, the state
of reallocation, seeds, metrics) and of its optimizer, and the settings of
the run; what is mostly zeros is packed. Keras' own weight files leave out
the seeds of random layers.
"""

import dataclasses
import itertools
import json
import os
import re
import zipfile
import zlib

import numpy as np
from absl import logging
from keras import ops

from dsr_tf import sparse_arrays
from dsr_tf.command_line import RunError
from dsr_tf.command_line import UsageError

_PATTERN = re.compile(r"step-(\d+)\.npz")
# What reading a file that was damaged in some way ends with.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
_DAMAGE += (zlib.error, NotImplementedError)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read.

    Attributes:
        path: The file.
        step: Number of updates before it.
        settings: Dict of plain values, those of the run.
        names: Names of the variables.
        values: Their values, arrays.
    """

    path: str
    step: int
    settings: dict
    names: list
    values: list


def save(folder, model, step, settings, num_kept=2):
    """Write a checkpoint and delete all but the newest.

    Args:
        folder: Folder of checkpoints; made where it does not exist.
        model: A compiled Keras model whose optimizer is built.
        step: Number of updates so far.
        settings: Dict of plain values to store with it.
        num_kept: Number of checkpoints to leave, at least 1.

    Raises:
        RunError: if a weight is no longer a finite number; nothing is
            written or deleted then.
    """
    os.makedirs(folder, exist_ok=True)
    names = _names(model)
    arrays = [ops.convert_to_numpy(variable) for variable in _variables(model)]
    for name, array in zip(names, arrays):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RunError(
                f"{name} holds numbers that are not finite at step {step}; "
                f"{_newest_is(folder)}. Try a smaller --learning_rate"
            )
    header = json.dumps(
        {
            "step": step,
            "settings": settings,
            "names": names,
            "shapes": [array.shape for array in arrays],
        }
    )
    stored = {}
    for number, array in enumerate(arrays):
        sparse_arrays.put(stored, f"{number:05d}", array)
    path = os.path.join(folder, f"step-{step}.npz")
    scratch = f"{path}.tmp"
    try:
        with open(scratch, "wb") as file:
            np.savez(file, header=np.array(header), **stored)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError:
        # A full disk, say: what lies there already must stay.
        if os.path.exists(scratch):
            os.remove(scratch)
        raise
    _sync_folder(folder)
    for old in _steps(folder)[:-num_kept]:
        os.remove(os.path.join(folder, f"step-{old}.npz"))


def read_newest(folder):
    """The newest checkpoint in a folder that can be read.

    A damaged one is passed over, with a warning; so is a file that was
    being written when the run was killed.

    Args:
        folder: Folder of checkpoints; may be missing.

    Returns:
        A `Checkpoint`, or None if there is none.

    Raises:
        UsageError: if all that there are are damaged.
    """
    steps = _steps(folder)
    for step in reversed(steps):
        path = os.path.join(folder, f"step-{step}.npz")
        try:
            return read(path)
        except UsageError as error:
            logging.warning("%s; trying the one before it", error)
    if steps:
        raise UsageError(
            f"flag --resume: no checkpoint in {folder} can be read; remove "
            "the folder to start anew"
        )
    return None


def read(path):
    """Read a checkpoint, all of it, so that damage shows.

    Raises:
        UsageError: if the file is damaged.
    """
    try:
        with np.load(path) as file:
            header = json.loads(str(file["header"]))
            # Files of before have no shapes, and nothing in them is packed.
            shapes = header.get("shapes") or [None] * len(header["names"])
            values = [
                sparse_arrays.get(file, f"{number:05d}", shape)
                for number, shape in enumerate(shapes)
            ]
            return Checkpoint(
                path,
                header["step"],
                header["settings"],
                header["names"],
                values,
            )
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise UsageError(
            f"the checkpoint {path} is damaged ({reason})"
        ) from error


def restore(checkpoint, model):
    """Give every variable of a model and its optimizer its value.

    Raises:
        UsageError: if the checkpoint is of another model or method, or of
            one without masks.
    """
    variables, names = _variables(model), _names(model)
    if names != checkpoint.names:
        pairs = itertools.zip_longest(names, checkpoint.names)
        strange = next(
            ours or theirs for ours, theirs in pairs if ours != theirs
        )
        raise UsageError(
            f"the checkpoint {checkpoint.path} is of another model or "
            f"method: it differs at {strange}"
        )
    for variable, value in zip(variables, checkpoint.values):
        if tuple(variable.shape) != value.shape:
            raise UsageError(
                f"the checkpoint {checkpoint.path} is of another model: "
                f"{variable.path} has shape {value.shape} there and "
                f"{tuple(variable.shape)} here"
            )
    for variable, value in zip(variables, checkpoint.values):
        variable.assign(value)


def _newest_is(folder):
    steps = _steps(folder)
    if not steps:
        return "there is no checkpoint"
    return f"the last checkpoint is of step {steps[-1]}"


def _steps(folder):
    if not os.path.isdir(folder):
        return []
    matches = (_PATTERN.fullmatch(name) for name in os.listdir(folder))
    return sorted(int(match[1]) for match in matches if match)


def _sync_folder(folder):
    """Make the new name of a file last, where the system can do so."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _variables(model):
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _names(model):
    """Names of `_variables`; the same in every process.

    Keras numbers the optimizers that a process makes, so the first part of
    the path of an optimizer's variable says nothing.
    """
    own = [variable.path for variable in model.variables]
    slots = [
        variable.path.partition("/")[2]
        for variable in _variables(model)[len(own) :]
    ]
    return own + slots
