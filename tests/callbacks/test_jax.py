"""What is about Keras' JAX backend; run with KERAS_BACKEND=jax."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.layers import masked_weights
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_jax
from tests.conftest import snapshot
from tests.conftest import values

pytestmark = needs_jax


def train(model, data, method, epochs=2, **arguments):
    records = []
    model.fit(
        *data,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[Reallocation(method, 5, seed=0, listener=records.append)],
        **arguments,
    )
    return records


@pytest.fixture
def two_devices():
    devices = keras.distribution.list_devices()
    assert len(devices) == 2
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices)
    )
    yield
    keras.distribution.set_distribution(None)


@pytest.mark.parametrize(
    "method",
    [methods.DSR(15), methods.RigL(0.2, None), methods.SNFS(0.2, None)],
    ids=lambda method: type(method).__name__,
)
def test_data_parallel(method, data, two_devices):
    """The same as on one device, and the same on both."""
    model = make_model(keras.optimizers.SGD(0.05, momentum=0.9))
    records = train(model, data, method)
    assert [record.step for record in records] == [5, 10, 15, 20, 25, 30, 35]
    assert {record.num_active for record in records} == {90}
    assert sum(record.num_grown for record in records) > 0
    assert_zero_outside_masks(model)
    for variable in [*model.variables, *model.optimizer.variables]:
        copies = [s.data for s in variable.value.addressable_shards]
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies, err_msg=variable.path)

    keras.distribution.set_distribution(None)
    alone = make_model(keras.optimizers.SGD(0.05, momentum=0.9))
    again = train(alone, data, method)
    assert [r.grown for r in again] == [r.grown for r in records]
    for a, b in zip(snapshot(alone), snapshot(model)):
        np.testing.assert_allclose(a, b, atol=1e-5)


OTHER = """
import sys
import numpy as np
import keras
import dsr_tf
assert keras.backend.backend() == "tensorflow"
source, target, arrays = sys.argv[1:]
model = keras.models.load_model(source)
np.savez(arrays, *[v.numpy() for v in model.variables])
model.save(target)
"""


def test_files_of_the_other_backend(data, tmp_path):
    """Saved here, loaded and saved there, loaded here: nothing changes."""
    model = make_model("adam")
    train(model, data, methods.DSR(15))
    model.save(tmp_path / "here.keras")
    paths = [tmp_path / name for name in ("here.keras", "there.keras", "a.npz")]
    subprocess.run(
        [sys.executable, "-c", OTHER, *map(str, paths)],
        check=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    with np.load(paths[2]) as there:
        assert_same(
            [values(v) for v in model.variables],
            [there[f"arr_{i}"] for i in range(len(model.variables))],
        )
    loaded = keras.models.load_model(paths[1])
    assert_same(snapshot(model), snapshot(loaded))
    # And goes on as if it had never been elsewhere.
    for each in (model, loaded):
        train(each, data, methods.DSR(15))
    assert_same(snapshot(model), snapshot(loaded))
    assert sum(w.num_active for w in masked_weights(loaded)) == 90
