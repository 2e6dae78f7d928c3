"""The backend that Keras is told to load, looked at before it does."""

import importlib.util
import json
import os
import sys
from typing import Any
from typing import NoReturn

from dsr_tf.command_line.endings import USAGE_ERROR

_DEFAULT = "tensorflow"
# Those that Keras has, by the packages they need.
_BACKENDS = (_DEFAULT, "jax", "torch", "numpy", "openvino")


def check() -> None:
    """End with a sentence where Keras is told to load what is not there."""
    told, backend = _told()
    if backend not in _BACKENDS or not importlib.util.find_spec(backend):
        _end(
            f"{told}: no such backend of Keras is installed; the commands of "
            f"dsr_tf need {_DEFAULT}"
        )


def _end(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(USAGE_ERROR)


def _told() -> tuple[str, str]:
    """Where Keras is told its backend, and which: as Keras looks it up."""
    if backend := os.environ.get("KERAS_BACKEND"):
        return f"KERAS_BACKEND={backend}", backend
    path = os.path.expanduser(os.path.join(_keras_home(), "keras.json"))
    config: Any = {}
    try:
        with open(path) as file:
            config = json.load(file)
    except (FileNotFoundError, ValueError):
        pass  # As Keras does.
    except OSError as error:
        _end(f"{path}: Keras cannot read it ({error.strerror})")
    if not isinstance(config, dict):
        _end(f"{path}: must hold a JSON object, for Keras to read it")
    backend = config.get("backend", _DEFAULT)
    return f"{path}: backend={backend!r}", backend


def _keras_home() -> str:
    if "KERAS_HOME" in os.environ:
        return os.environ["KERAS_HOME"]
    home = os.path.expanduser("~")
    return os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
