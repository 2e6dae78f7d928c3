"""The backend that Keras is told to load, looked at before it does."""

import importlib.util
import json
import os
import sys

from dsr_tf.command_line.endings import USAGE_ERROR

_DEFAULT = "tensorflow"
# Those that Keras has, by the packages they need.
_BACKENDS = (_DEFAULT, "jax", "torch", "numpy", "openvino")


def check() -> None:
    """End with a sentence where Keras is told to load what is not there."""
    told, backend = _told()
    if backend in _BACKENDS and importlib.util.find_spec(backend):
        return
    print(
        f"{told}: no such backend of Keras is installed; the commands of "
        f"dsr_tf need {_DEFAULT}",
        file=sys.stderr,
    )
    sys.exit(USAGE_ERROR)


def _told() -> tuple[str, str]:
    """Where Keras is told its backend, and which: as Keras looks it up."""
    if backend := os.environ.get("KERAS_BACKEND"):
        return f"KERAS_BACKEND={backend}", backend
    path = os.path.expanduser(os.path.join(_keras_home(), "keras.json"))
    try:
        with open(path) as file:
            backend = json.load(file).get("backend", _DEFAULT)
    except (OSError, ValueError):  # There is none, or Keras passes over it.
        backend = _DEFAULT
    return f"{path}: backend={backend!r}", backend


def _keras_home() -> str:
    if "KERAS_HOME" in os.environ:
        return os.environ["KERAS_HOME"]
    home = os.path.expanduser("~")
    return os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
