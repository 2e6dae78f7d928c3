"""What `import dsr_tf` shows, and what it loads."""

import json
import pathlib
import subprocess
import sys
import types

import pytest

import dsr_tf

PACKAGE = pathlib.Path(dsr_tf.__file__).parent


# tensorflow-datasets, matplotlib and scikit-learn are installed by default;
# none is needed to train by `fit`.
CODE = """
import json, sys
for name in ("tensorflow_datasets", "matplotlib", "sklearn"):
    sys.modules[name] = None
import keras
before = set(sys.modules)
import dsr_tf

new = {name.partition(".")[0] for name in set(sys.modules) - before}
packages = sorted(new - set(sys.stdlib_module_names))
loaded = sorted({n.split(".")[1] for n in sys.modules if "dsr_tf." in n})
registered = bool(keras.saving.get_registered_object("dsr_tf>SparseDense"))

from dsr_tf import callbacks, conversion, export, layers
from dsr_tf import losses, methods, models, optimizers

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
model = dsr_tf.sparsify(model, 0.5, seed=0)
model.compile("sgd", "mse")
x = keras.ops.ones((8, 4))
callback = dsr_tf.callbacks.Reallocation(methods.SET(0.5), period=1, seed=0)
history = model.fit(x, x, batch_size=2, callbacks=[callback], verbose=0)
print(json.dumps([loaded, registered, history.history, packages]))
"""


@pytest.fixture(scope="module")
def new_process():
    """What a process that imports and trains has printed."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_it_shows_its_names_and_subpackages_only():
    parts = {path.stem for path in PACKAGE.iterdir()}
    for name in dir(dsr_tf):
        if name in dsr_tf.__all__ or name.startswith("_"):
            continue
        assert isinstance(getattr(dsr_tf, name), types.ModuleType), name
        assert name in parts, name
    assert set(dsr_tf.__all__) <= set(dir(dsr_tf))


def test_every_name_is_there():
    for name in dsr_tf.__all__:
        assert getattr(dsr_tf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dsr_tf.nothing  # noqa: B018


def test_training_needs_no_data_set_and_no_plot(new_process):
    _, _, history, _ = new_process
    assert history["num_reallocated"][-1] > 0


def test_what_is_not_asked_for_is_not_loaded(new_process):
    loaded, registered, _, _ = new_process
    late = {"callbacks", "commands", "comparison", "data", "export"}
    late |= {"methods", "models", "training"}
    assert "layers" in loaded
    assert not late & set(loaded)
    # So Keras files of sparse models load.
    assert registered


def test_it_imports_little_beside_keras(new_process):
    """How long that takes: `python -X importtime -c "import dsr_tf"`."""
    _, _, _, packages = new_process
    assert packages == ["dsr_tf"]
