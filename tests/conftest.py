"""Shared by all tests: two CPU devices, and small sparse models."""

import atexit
import gc
import os
import pathlib
import shutil
import signal
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# What XLA compiles here runs for milliseconds; making it fast takes as long
# as compiling it. Processes that this one starts inherit it.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
# pytest runs a process on each core: with a thread on each core as well they
# wait for each other. Processes that this one starts inherit it.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
if os.environ.get("KERAS_BACKEND") == "jax":
    # JAX's two devices, for DataParallel.
    os.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=2"
    # Most of the time of these tests is XLA's, for programs that many of
    # them share; processes that this one starts inherit the folder.
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        compiled = tempfile.mkdtemp(prefix="dsr_tf-jax-")
        atexit.register(shutil.rmtree, compiled, ignore_errors=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf import layers


def _folder_of_tests():
    """Where processes that tests start find the module `tests`.

    They must find the package where this one does: with an installed wheel
    that is not the checkout, where both are.
    """
    root = pathlib.Path(__file__).parents[1]
    if root / "dsr_tf" == pathlib.Path(dsr_tf.__file__).parent:
        return str(root)
    folder = tempfile.mkdtemp(prefix="dsr_tf-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.symlink(root / "tests", os.path.join(folder, "tests"))
    return folder


# Not in the working directory.
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [_folder_of_tests(), os.environ.get("PYTHONPATH")])
)

# Shells start what is in the background with Ctrl-C ignored, and so would be
# all processes that tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What was imported stays: no need to go through it again and again.
gc.freeze()
gc.set_threshold(50_000, 20, 50)

# How long an example takes says something about the machine only.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

# TensorFlow's optimizer of graphs (Grappler), too, takes longer than it saves
# in so few steps. Commands that tests start have it, as users do.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

# MirroredStrategy needs two devices; nothing else notices.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)


needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="TensorFlow's alone, see the table of backends in docs/limits.md",
)


_TFDS = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
needs_mnist = pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.path.expanduser(_TFDS), "mnist")),
    reason="needs MNIST of TensorFlow Datasets, see TFDS_DATA_DIR",
)

needs_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="about Keras' JAX backend"
)

# Marks of what runs by hand on JAX, which compiles it for long, and which has
# a case like it that always runs.
slow_on_jax = [pytest.mark.slow] if keras.backend.backend() == "jax" else []


def by_hand_on_jax(test):
    """Mark a whole test so."""
    for mark in slow_on_jax:
        test = mark(test)
    return test


@pytest.fixture(autouse=True)
def _fresh_keras():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def data():
    """160 points in 12 dimensions, 3 classes that can be learnt."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(160, 12)).astype("float32")
    y = np.argmax(x @ generator.normal(size=(12, 3)), axis=1)
    return x, y.astype("int32")


def make_model(optimizer="sgd", sparsity=0.7, **compile_arguments):
    """A compiled sparse network for `data`: 12-20-3, 300 weights.

    Always with the same initial weights and masks.
    """
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(
                20, sparsity, activation="relu", seed=1, name="a"
            ),
            layers.SparseDense(3, sparsity, seed=2, name="b"),
        ],
        name="net",
    )
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **compile_arguments,
    )
    return model


def gradient_of(loss, variable):
    """The gradient of `loss()` for a Keras variable, an array."""
    if keras.backend.backend() == "tensorflow":
        with tf.GradientTape() as tape:
            value = loss()
        return values(tape.gradient(value, variable.value))
    import jax

    def of_value(value):
        with keras.StatelessScope(state_mapping=[(variable, value)]):
            return loss()

    return values(jax.grad(of_value)(variable.value))


def values(variable):
    return keras.ops.convert_to_numpy(variable)


def outputs_of(model, inputs):
    """What a model gives in a graph, where a SavedModel computes too."""
    return tf.function(model)(inputs, training=False).numpy()


def assert_zero_outside_masks(model):
    """Invariant 2: inactive weights are stored as exactly 0."""
    for weight in layers.masked_weights(model):
        assert not values(weight.kernel)[~values(weight.mask)].any()


def snapshot(model):
    """All variables of a model and its optimizer, as arrays."""
    return [values(v) for v in [*model.variables, *model.optimizer.variables]]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(autouse=True)
def collectives_of_its_own():
    """Let strategies of one test not meet those of another.

    In one process they number their collectives alike, and TensorFlow takes
    a second one of a number, but of another shape, for a mistake. Its own
    tests set this as well.
    """
    tf.distribute.MirroredStrategy._collective_key_base += 1000
