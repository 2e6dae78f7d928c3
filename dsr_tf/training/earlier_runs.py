"""Reading what earlier runs have left: models and settings."""

import contextlib
import zipfile

import keras

from dsr_tf.command_line import UsageError
from dsr_tf.training import run_summary


def load_keras(flag, path):
    """Load the `.keras` file `path`, which `flag` names, uncompiled.

    Raises:
        UsageError: if it cannot be loaded.
    """
    with loading(flag, path):
        # Keras says of such a file that it does not exist.
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip file, or not all of one")
        return keras.models.load_model(path, compile=False)


@contextlib.contextmanager
def loading(flag, path):
    """Turn any error of loading inside into a `UsageError`.

    Args:
        flag: Name of the flag that names the file.
        path: Value of that flag.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # Damaged files raise errors of any kind.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"flag --{flag}={path}: cannot be loaded ({reason})"
        ) from error


def settings_of_run(folder, flag="model"):
    """The settings in the `summary.json` of a run, {} if there is none.

    Raises:
        UsageError: if it is damaged; `flag` names the run.
    """
    try:
        return run_summary.read(folder, ("settings",))["settings"]
    except FileNotFoundError:
        return {}
    except run_summary.Damaged as error:
        raise UsageError(f"flag --{flag}={folder}: {error}") from error
