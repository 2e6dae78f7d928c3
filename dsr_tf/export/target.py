"""Where an export goes: checked first, written beside, then moved."""

import contextlib
import os
from collections.abc import Iterator

import keras
import tensorflow as tf

from dsr_tf.export import digest
from dsr_tf.export import scratch


def check_model(model: object, name: str, keeps_state: bool = False) -> None:
    """Check that a model can be exported.

    Args:
        model: What should be a built Keras model.
        name: Name of the function that was called, for messages.
        keeps_state: Whether a model that is loaded from the file keeps states
            of layers from one call to the next, as a Keras model does.

    Raises:
        TypeError: if it is no Keras model.
        ValueError: if it is not built, the backend not TensorFlow, or a
            layer keeps a state that the exported one could not.
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
    if not keeps_state:
        _check_stateless(model)


def _check_stateless(model: keras.Model) -> None:
    """Refuse states: writers freeze them, or stop with errors of their own."""
    recurrent = keras.layers.RNN, keras.layers.Bidirectional
    for layer in model._flatten_layers():
        if isinstance(layer, recurrent) and layer.stateful:
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) is stateful, "
                "and an exported model keeps nothing from one call to the "
                "next: make the model with stateful=False, or write a packed "
                "or .keras file."
            )


def check_loadable(path: str | os.PathLike) -> None:
    """Check that TensorFlow can load a SavedModel from `path`.

    Its loaders take names for patterns: for `run[1]` they look for `run1`,
    and for `run*` they may read the weights of another model.

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


def check(path: str | os.PathLike) -> None:
    """Check that a folder can be written at `path`.

    Raises:
        ValueError: if there is something else than an empty folder, if
            nothing can be written there, or TensorFlow cannot load from
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
    _check_writable(path)


def check_file(path: str | os.PathLike, ending: str) -> None:
    """Check that a file can be written at `path`, and its digest beside.

    Raises:
        ValueError: if there is something already, the ending is not the
            right one, or nothing can be written there.
    """
    if not str(path).endswith(ending) or os.path.lexists(path):
        raise ValueError(
            f"`path` must be a file that does not exist and end in {ending}. "
            f"Received: path={str(path)!r}"
        )
    beside = digest.beside(path)
    if os.path.lexists(beside):
        raise ValueError(
            f"`path` must be a file without a digest yet, but {beside} "
            f"exists. Received: path={str(path)!r}"
        )
    _check_writable(path, beside)


def _check_writable(
    path: str | os.PathLike, longest_name: str | None = None
) -> None:
    absolute, reason = os.path.abspath(longest_name or path), None
    parent = os.path.dirname(absolute)
    try:
        while not os.path.lexists(parent):
            parent = os.path.dirname(parent)
        longest = os.pathconf(parent, "PC_NAME_MAX")
    except (OSError, ValueError) as error:
        reason = str(error)
    if "\0" in absolute:
        reason = "no name can hold a NUL"
    elif reason is None:
        names = os.fsencode(absolute).split(b"/")
        if not os.path.isdir(parent):
            reason = f"{parent} is no folder"
        elif not os.access(parent, os.W_OK | os.X_OK):
            reason = f"the folder {parent} cannot be written"
        elif max(len(name) for name in names) > longest:
            reason = f"names have at most {longest} bytes"
    if reason:
        raise ValueError(
            "`path` must be where something can be written, but "
            f"{reason}. Received: path={str(path)!r}"
        )


@contextlib.contextmanager
def written_whole(
    path: str | os.PathLike, name: str | None = None
) -> Iterator[str]:
    """A place to write to, which becomes `path` at the end.

    Nobody ever meets half a model, and nothing is overwritten, not even what
    came to `path` meanwhile: after an error there is nothing new. What a
    process that was killed has left is removed by the next one that writes
    to the same place.

    Args:
        path: What is to be written.
        name: None to write a folder; else `path` is a file, and this is
            what it must be called while it is written. A file gets a digest
            beside it, `PATH.sha256`, a folder one inside.

    Yields:
        Path of an empty folder, or of the file in it.

    Raises:
        OSError: if it cannot be written, by TensorFlow either.
    """
    path = os.path.realpath(path)
    with _parents(path) as parent, scratch.folder(parent, path) as inside:
        whole = os.path.join(inside, name or "model")
        if name is None:
            # By `mkdir`, it may be read by whom the umask allows.
            os.mkdir(whole)
        with _errors_of_tensorflow():
            yield whole
        if name is None:
            digest.write_inside(whole)
            # Takes the place of an empty folder, and of nothing else.
            os.rename(whole, path)
        else:
            digest.write(whole, os.path.basename(path))
            _move(whole, path)
            try:
                _move(digest.beside(whole), digest.beside(path))
            except OSError:
                os.remove(path)
                raise


@contextlib.contextmanager
def conversion_errors(model: keras.Model, format: str) -> Iterator[None]:
    """Turn errors of a converter into one about the model.

    Raises:
        ValueError: for any error inside except those of reading and writing.
    """
    try:
        yield
    except (OSError, tf.errors.OpError):
        raise
    except Exception as error:  # Converters raise errors of any kind.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"Model '{model.name}' cannot be converted to {format} ({reason})"
        ) from error


@contextlib.contextmanager
def _parents(path: str) -> Iterator[str]:
    """Make the folder that `path` is in; after an error remove what is new."""
    parent = os.path.dirname(path)
    new, folder = [], parent
    while not os.path.lexists(folder):
        new.append(folder)
        folder = os.path.dirname(folder)
    os.makedirs(parent, exist_ok=True)
    try:
        yield parent
    except BaseException:
        for folder in new:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        raise


@contextlib.contextmanager
def _errors_of_tensorflow() -> Iterator[None]:
    """A full disk is an `OSError`, whoever meets it."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(str(error.message).splitlines()[0]) from error


def _move(source: str, path: str) -> None:
    """Move a file to where there is none."""
    try:
        os.link(source, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: take the name first.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        os.replace(source, path)


def size(path: str | os.PathLike[str]) -> int:
    """Bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(parent, name))
        for parent, _, names in os.walk(path)
        for name in names
    )


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
