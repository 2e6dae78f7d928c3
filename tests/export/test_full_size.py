"""What exports take on disk and in time, with the paper's networks.

With `-m slow -s` it prints the table of docs/export.md.
"""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import models
from dsr_tf.export import products
from dsr_tf.export import registry
from dsr_tf.export import sizes
from dsr_tf.export import target
from dsr_tf.export import timing
from tests.conftest import outputs_of

slow = pytest.mark.slow

# Network, density, most bytes over the bound, fewest times smaller.
CASES = [
    ("lenet_300_100", 0.1, 1.15, 7.7),
    ("lenet_300_100", 0.05, 1.42, 11),
    ("wrn_28_2", 0.1, 1.05, 8.5),
    pytest.param("wrn_28_2", 0.05, 1.18, 12, marks=slow),
    pytest.param("resnet50", 0.2, 0.92, 4.4, marks=slow),
    pytest.param("resnet50", 0.1, 0.92, 9.5, marks=slow),
    pytest.param("resnet50", 0.05, 0.92, 15, marks=slow),
]


def sparse(name, density):
    return dsr_tf.sparsify(getattr(models, name)(), 1 - density, seed=0)


def compare_sizes(path, model):
    """How large a file is, over the bound and to a dense one; prints it."""
    written, dense = target.size(path), sizes.dense_bytes(model)
    over, smaller = written / sizes.bound_bytes(model), dense / written
    print(
        f"\n{model.name}, {path.rpartition('/')[2]}: {written:,} bytes "
        f"instead of {dense:,}, {smaller:.1f} times smaller, {over:.2f} of "
        "the bound"
    )
    return over, smaller


def assert_close(found, expected):
    """As far as sparse products add up in another order."""
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"outputs differ by {difference:.1e} of the largest")
    assert difference <= 1e-6


@pytest.mark.parametrize("name, density, bound, times", CASES)
def test_size(name, density, bound, times, tmp_path):
    model = sparse(name, density)
    path = str(tmp_path / f"{density}")
    dsr_tf.export.saved_model(model, path)
    over, smaller = compare_sizes(path, model)
    assert over <= bound and smaller >= times
    inputs = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:]))
    inputs = inputs.astype("float32")
    found = registry.load("model", path).predict(inputs)
    expected = outputs_of(model, inputs)
    if products.chosen(model, "auto"):
        assert_close(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)


@slow
@pytest.mark.parametrize("name, density, bound, times", CASES)
def test_size_of_litert(name, density, bound, times, tmp_path):
    """Which has no entropy coding, so not as small as a SavedModel."""
    model = sparse(name, density)
    path = str(tmp_path / f"{density}.tflite")
    dsr_tf.export.litert(model, path)
    over, smaller = compare_sizes(path, model)
    assert over <= 1.6 * bound and smaller >= times / 1.6


@slow
@pytest.mark.parametrize("name", ["lenet_300_100", "wrn_28_2", "resnet50"])
def test_time(name, tmp_path):
    """Printed; asserted with room for a busy machine."""
    model = sparse(name, 0.1)
    paths = [str(tmp_path / kind) for kind in ("dense", "sparse")]
    dsr_tf.export.dense_saved_model(model, paths[0])
    dsr_tf.export.saved_model(model, paths[1])
    loads = timing.load_times([registry.load("model", path) for path in paths])
    print(f"\n{name}: load {loads[0]:.2f} and {loads[1]:.2f} s")
    assert loads[1] < 2 * loads[0]
    loaded = [registry.load("model", path) for path in (*paths, paths[0])]
    for batch in (1, 32 if name != "resnet50" else 8):
        dense, own, again = timing.latencies(loaded, batch)
        print(
            f"{name}, {batch}: {1000 * dense:.2f} ms; sparse "
            f"{own / dense:.2f}, dense again {again / dense:.2f}"
        )
        assert own < 1.5 * dense


@slow
@pytest.mark.parametrize("width, layers", [(2048, 3), (4096, 2)])
@pytest.mark.parametrize("density", [0.01, 0.05])
def test_sparse_products_are_faster(width, layers, density, tmp_path):
    model = keras.Sequential([keras.Input((width,))])
    for seed in range(layers):
        model.add(dsr_tf.layers.SparseDense(width, 1 - density, seed=seed))
    paths = [str(tmp_path / mode) for mode in ("never", "auto")]
    for path, mode in zip(paths, ("never", "auto")):
        dsr_tf.export.saved_model(model, path, sparse_matmul=mode)
    loaded = [registry.load("model", path) for path in (*paths, paths[0])]
    inputs = np.random.default_rng(0).normal(size=(8, width))
    found, expected = (m.predict(inputs.astype("float32")) for m in loaded[:2])
    # A GPU rounds dense products to TF32, and is slower with sparse ones.
    on_cpu = timing.kind() == timing.CPU_TIME
    if on_cpu:
        assert_close(found, expected)
    for batch in (1, 8, 32, 128):
        dense, own, again = timing.latencies(loaded, batch)
        print(
            f"\n{layers} x {width}, {density}, {batch}: {1000 * dense:.2f} ms, "
            f"{dense / own:.2f} times faster, dense again {dense / again:.2f}"
        )
        if on_cpu and density == 0.01:
            assert dense > 2 * own
        elif on_cpu and batch >= 32:
            assert dense > 1.15 * own
