"""Checkpoints of a run: every variable, written whole or not at all.

One `.npz` file holds all variables of the model (weights, masks, the state
of reallocation, seeds, metrics) and of its optimizer, and the settings of
the run. Keras' own weight files leave out the seeds of random layers.
"""

import itertools
import json
import os
import re
import zipfile

import numpy as np
from keras import ops

from dsr_tf.command_line import UsageError

_PATTERN = re.compile(r"step-(\d+)\.npz")


def save(folder, model, step, settings, keep=2):
    """Write a checkpoint and delete all but the newest `keep`.

    Args:
        folder: Folder of checkpoints; made where it does not exist.
        model: A compiled Keras model whose optimizer is built.
        step: Number of updates so far.
        settings: Dict of plain values to store with it.
        keep: Number of checkpoints to leave.
    """
    os.makedirs(folder, exist_ok=True)
    arrays = {
        f"{i:05d}": ops.convert_to_numpy(variable)
        for i, variable in enumerate(_variables(model))
    }
    header = {
        "step": step,
        "settings": settings,
        "names": _names(model),
    }
    path = os.path.join(folder, f"step-{step}.npz")
    scratch = f"{path}.tmp"
    with open(scratch, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
    for old in _steps(folder)[:-keep]:
        os.remove(os.path.join(folder, f"step-{old}.npz"))


def latest(folder):
    """Path of the newest checkpoint in a folder, None if there is none."""
    steps = _steps(folder)
    return os.path.join(folder, f"step-{steps[-1]}.npz") if steps else None


def read_header(path):
    """The step and settings of a checkpoint.

    Raises:
        UsageError: if the file is damaged.
    """
    try:
        with np.load(path) as file:
            return json.loads(str(file["header"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"the checkpoint {path} cannot be read ({error}); remove it to "
            "resume from the one before"
        ) from error


def restore(path, model):
    """Load every variable of a model and its optimizer.

    Raises:
        UsageError: if the checkpoint is damaged or of another model.
    """
    header = read_header(path)
    variables, names = _variables(model), _names(model)
    if names != header["names"]:
        pairs = itertools.zip_longest(names, header["names"])
        strange = next(
            ours or theirs for ours, theirs in pairs if ours != theirs
        )
        raise UsageError(
            f"the checkpoint {path} is of another model or method: it "
            f"differs at {strange}"
        )
    with np.load(path) as file:
        values = [file[f"{i:05d}"] for i in range(len(variables))]
    for variable, value in zip(variables, values):
        if tuple(variable.shape) != value.shape:
            raise UsageError(
                f"the checkpoint {path} is of another model: {variable.path} "
                f"has shape {value.shape} there and {tuple(variable.shape)} "
                "here"
            )
    for variable, value in zip(variables, values):
        variable.assign(value)


def _steps(folder):
    if not os.path.isdir(folder):
        return []
    matches = (_PATTERN.fullmatch(name) for name in os.listdir(folder))
    return sorted(int(match[1]) for match in matches if match)


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
