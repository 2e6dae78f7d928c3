"""Nothing has an entry for each weight of a kernel that is stored as lists.

From the layer that is built over reallocations to files.
"""

import resource
import subprocess
import sys
import tracemalloc

import keras
import numpy as np
import pytest

from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.layers import SparseDense
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import needs_tensorflow

pytestmark = needs_tensorflow


def go_through(width, density, folder):
    """Build, train, reallocate, save and load a layer."""
    inputs = keras.Input((width,))
    layer = SparseDense(width, 1 - density, storage="lists", seed=0)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    x = np.ones((2, width), "float32")
    model.train_on_batch(x, x)
    number = masked_weights(model)[0].num_active
    for method in (methods.DSR(0.2, initial_threshold=5e-3), methods.SET(0.3)):
        reallocator = Reallocator(model, method)
        reallocator.check(model.optimizer)
        record = reallocator.step(model.optimizer, 1)
        assert record.num_grown > 0 and record.num_active == number
    look_at_gradients(model, x)
    model.save(f"{folder}/m.keras")
    loaded = keras.models.load_model(f"{folder}/m.keras")
    ours, theirs = (masked_weights(m)[0].variable for m in (loaded, model))
    np.testing.assert_array_equal(ours.places(), theirs.places())
    np.testing.assert_array_equal(ours.groups(), theirs.groups())


def look_at_gradients(model, x):
    """Two steps, of which the second follows a reallocation by RigL."""
    records = []
    callback = Reallocation(
        methods.RigL(0.2, None), 1, seed=0, listener=records.append
    )
    model.fit(x, x, batch_size=1, verbose=0, callbacks=[callback])
    assert [record.num_grown > 0 for record in records] == [True]


def test_arrays(tmp_path):
    go_through(100, 0.01, tmp_path)  # What is made once, and kept.
    tracemalloc.start()
    go_through(10_000, 0.0005, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Not even a bit for each.
    assert peak < 10_000**2 / 8


@pytest.mark.slow
def test_memory(tmp_path):
    """All that the process holds, TensorFlow's tensors too."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 200 * 2**20


if __name__ == "__main__":
    go_through(100, 0.01, sys.argv[1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    go_through(20_000, 0.001, sys.argv[1])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(1024 * (after - before))
