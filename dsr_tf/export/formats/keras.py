"""`.keras` files, which runs keep and all exports begin with."""

import os
import zipfile

import keras

from dsr_tf.command_line import UsageError
from dsr_tf.export.format import Format
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.export.runnable import loading
from dsr_tf.export.runnable import runnable_keras


def find_keras(flag: str, path: str) -> str:
    """The `.keras` file that `flag` names: itself, or that of a run.

    Args:
        flag: Name of the flag, for messages.
        path: The file, or the folder of a run.

    Raises:
        UsageError: if there is none.
    """
    inside = os.path.join(path, "model.keras")
    found = inside if os.path.isfile(inside) else path
    if not FORMAT.recognises(found):
        raise UsageError(
            f"flag --{flag}={path}: must be a .keras file or the folder of a "
            "finished run"
        )
    return found


def load_keras(flag: str, path: str) -> keras.Model:
    """Load the `.keras` file `path`, which `flag` names, uncompiled.

    Raises:
        UsageError: if it cannot be loaded.
    """
    with loading(flag, path):
        # Keras says of such a file that it does not exist.
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip file, or not all of one")
        return keras.models.load_model(path, compile=False)


class Keras(Format):
    """Of Keras itself: masks come along, zeros are stored."""

    name, title, suffix = "keras", "Keras", ".keras"

    def load(self, flag: str, path: str) -> RunnableModel:
        model = load_keras(flag, path)
        return runnable_keras(flag, path, self.title, model)


FORMAT = Keras()
