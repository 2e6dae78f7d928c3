"""Where an export goes: checked first, written beside, then moved."""

import contextlib
import os
import shutil
import tempfile

import keras


def check_model(model, name):
    """Check that a model can be exported.

    Args:
        model: What should be a built Keras model.
        name: Name of the function that was called, for messages.

    Raises:
        TypeError: if it is no Keras model.
        ValueError: if it is not built, or the backend not TensorFlow.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`{name}` takes a Keras model. Received: "
            f"model={model!r} of type {type(model).__name__}"
        )
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"`{name}` needs Keras' TensorFlow backend. Received: "
            f"backend={keras.backend.backend()}. Save the model as `.keras` "
            "and export it in a process with KERAS_BACKEND=tensorflow."
        )
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' is not built yet: call it on data first."
        )


def check_loadable(path):
    """Check that TensorFlow can load a SavedModel from `path`.

    Its loaders take names for patterns: of `run[1]` they look for `run1`, of
    `run*` they may read another's weights.

    Raises:
        ValueError: if they cannot, or may find something else.
    """
    absolute = os.path.abspath(path)
    reason = None
    if any(character in absolute for character in "*?[\\"):
        reason = "names with *, ?, [ or \\ are patterns to it"
    elif "://" in str(path):
        reason = "names with :// are other file systems to it"
    elif "\0" in absolute:
        reason = "no name can hold a NUL"
    elif not _is_text(absolute):
        reason = "it reads names as UTF-8, which this is not"
    if reason:
        raise ValueError(
            "`path` must be a local folder from which TensorFlow can load a "
            f"SavedModel, but {reason}. Received: path={str(path)!r}"
        )


def check(path):
    """Check that nothing is at `path`, except perhaps an empty folder.

    Raises:
        ValueError: if there is something, or TensorFlow cannot load from
            there.
    """
    check_loadable(path)
    if os.path.lexists(path) and not (
        os.path.isdir(path) and not os.listdir(path)
    ):
        raise ValueError(
            "`path` must be a folder that does not exist or is empty. "
            f"Received: path={str(path)!r}"
        )


def check_file(path, ending):
    """Check that nothing is at `path`, and that it has the right ending.

    Raises:
        ValueError: if not.
    """
    if not str(path).endswith(ending) or os.path.lexists(path):
        raise ValueError(
            f"`path` must be a file that does not exist and end in {ending}. "
            f"Received: path={str(path)!r}"
        )


@contextlib.contextmanager
def written_whole(path, name=None):
    """A place to write to, which becomes `path` at the end.

    Nobody ever meets half a model: after an error there is nothing.

    Args:
        path: What is to be written.
        name: None to write a folder; else `path` is a file, and this is
            what it must be called while it is written.

    Yields:
        Path of an empty folder, or of the file in it.
    """
    parent = os.path.dirname(os.path.abspath(path))
    os.makedirs(parent, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix=".export-", dir=parent)
    try:
        if name is None:
            yield scratch
            os.chmod(scratch, 0o777 & ~_umask())
            if os.path.isdir(path):
                os.rmdir(path)
            os.rename(scratch, path)
        else:
            yield os.path.join(scratch, name)
            os.rename(os.path.join(scratch, name), path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def size(path):
    """Bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(parent, name))
        for parent, _, names in os.walk(path)
        for name in names
    )


def _is_text(path):
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
