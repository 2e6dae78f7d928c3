"""Runs that begin by making another network of trained weights."""

import os
import re
import shutil
import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf

from dsr_tf import models
from dsr_tf.command_line import UsageError
from dsr_tf.recipes import Recipe
from dsr_tf.recipes import registry
from dsr_tf.training import architecture
from dsr_tf.training import checkpoint
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.run import Run
from tests.training import left_behind
from tests.training.test_damage import save_with
from tests.training.test_distributed import assert_replicas_equal


class Halved(Recipe):
    """The 150 units of the first layer that are most active on images, with
    dropout behind them."""

    name = "halved"

    def __init__(self):
        self.seen = []

    def prepares(self, experiment):
        return True

    def prepare(self, experiment, dense, images):
        assert not tf.distribute.has_strategy()
        batches = [batch.numpy() for batch, _ in images]
        self.seen.append(np.concatenate(batches))
        first = keras.Model(dense.inputs, dense.get_layer("fc1_relu").output)
        strength = first.predict(self.seen[-1], verbose=0).mean(0)
        kept = np.sort(np.argsort(-strength)[:150])
        inputs = keras.Input(dense.input_shape[1:], name="image")
        x = keras.layers.Flatten(name="flatten")(inputs)
        for layer in dense.layers[2:]:
            config = layer.get_config()
            if layer.name == "fc1":
                config["units"] = len(kept)
            x = type(layer).from_config(config)(x)
            if layer.name == "fc1_relu":
                x = keras.layers.Dropout(0.1, seed=7, name="dropout")(x)
        narrow = keras.Model(inputs, x, name=dense.name)
        for layer in narrow.layers:
            if layer.name.startswith("fc1") or layer.name == "fc2":
                axis = 0 if layer.name == "fc2" else -1
                weights = dense.get_layer(layer.name).get_weights()
                layer.set_weights([np.take(w, kept, axis) for w in weights])
            elif layer.name != "dropout":
                layer.set_weights(dense.get_layer(layer.name).get_weights())
        return narrow


@pytest.fixture(scope="module", autouse=True)
def halved():
    recipe = Halved()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_RECIPES", dict(registry._RECIPES))
        yield registry.register(recipe)


def prepared(folder, **more):
    """A run on the digits: batches of 100, 14 steps an epoch."""
    settings = {
        "output_dir": str(folder),
        "method": "halved",
        "epochs": 2,
        "jit_compile": False,
        "steps_per_execution": 1,
        "checkpoint_every_steps": 5,
        "checkpoints_to_keep": 9,
        "seed": 3,
    }
    return Run(Experiment(**{**settings, **more}))


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "dense"
    prepared(folder, method="dense").train()
    return str(folder)


@pytest.fixture(scope="module")
def whole(dense, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run = prepared(folder, initial_checkpoint=dense)
    return folder, run.train()


def weights_of(folder):
    newest = checkpoint.read_newest(folder / "checkpoints")
    # The metrics of an epoch count from where it was resumed.
    return {
        name: value
        for name, value in zip(newest.names, newest.values)
        if "accuracy" not in name and "loss" not in name
    }


def assert_same_weights(first, second):
    ours, theirs = weights_of(first), weights_of(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_the_network_that_trains_is_the_one_that_was_made(whole, halved):
    folder, summary = whole
    # 64-150-100-10, with normalization after each.
    assert summary["num_parameters"] == 64 * 150 + 15000 + 1000 + 2 * 260
    assert summary["test_accuracy"] > 0.9
    first = checkpoint.read(folder / "checkpoints" / "step-0.npz")
    assert first.step == 0 and "dropout" in first.architecture
    trained = keras.models.load_model(folder / "model.keras", compile=False)
    assert trained.get_layer("fc1").units == 150


def test_it_starts_from_the_trained_weights(whole, dense):
    folder, _ = whole
    first = checkpoint.read(folder / "checkpoints" / "step-0.npz")
    kernel = dict(zip(first.names, first.values))["fc3/kernel"]
    trained = keras.models.load_model(f"{dense}/model.keras", compile=False)
    np.testing.assert_array_equal(kernel, trained.get_layer("fc3").kernel)


def test_images_are_as_they_are_tested(dense, tmp_path, halved):
    """Whatever the augmentation is, and the same each time."""
    halved.seen.clear()
    for name, augmentation in ((1, "none"), (2, "crop_flip")):
        run = prepared(
            tmp_path / str(name),
            initial_checkpoint=dense,
            augmentation=augmentation,
        )
    plain, augmented = halved.seen
    np.testing.assert_array_equal(plain, augmented)
    assert plain.shape == (1400, 8, 8, 1)
    pixels = 255 * (plain * run.data.deviation + run.data.mean)
    shown = {np.rint(i).astype("uint8").tobytes() for i in pixels}
    assert shown <= {image.tobytes() for image in run.data.train_images}
    assert len(shown) > 1390


@pytest.mark.parametrize(
    "step", [0, pytest.param(10, marks=pytest.mark.slow), 20]
)
def test_resumes_without_what_it_started_from(
    step, whole, dense, tmp_path, halved
):
    """Before its first checkpoint but the one of step 0, and later."""
    left_behind.after(step, whole[0], tmp_path / "run")
    halved.seen.clear()
    with left_behind.gone(dense):
        resumed = prepared(
            tmp_path / "run", initial_checkpoint=dense, resume=True
        )
        assert resumed.is_resumed and resumed.start == step
        resumed.train()
    assert not halved.seen
    assert_same_weights(whole[0], tmp_path / "run")


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("static", marks=pytest.mark.slow),
        pytest.param("dense", marks=pytest.mark.slow),
        pytest.param("gradual", marks=pytest.mark.slow),
    ],
)
def test_so_do_runs_of_other_methods(method, dense, tmp_path):
    first = shutil.copytree(dense, tmp_path / "dense")
    started = {"initial_checkpoint": str(first), "method": method}
    started["pruning_hparams"] = "pruning_frequency=5"
    if method == "static":
        prepared(tmp_path / "masks", method="static", seed=8, epochs=1).train()
        started["copy_masks_from"] = str(tmp_path / "masks")
    prepared(tmp_path / "whole", **started).train()
    left_behind.after(10, tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(first)
    shutil.rmtree(tmp_path / "masks", ignore_errors=True)
    prepared(tmp_path / "run", **started, resume=True).train()
    assert_same_weights(tmp_path / "whole", tmp_path / "run")


@pytest.mark.slow
def test_replicas(dense, tmp_path):
    run = prepared(
        tmp_path / "run", initial_checkpoint=dense, strategy="mirrored"
    )
    assert run.train()["test_accuracy"] > 0.9
    assert_replicas_equal(run)
    resumed = prepared(
        tmp_path / "run",
        initial_checkpoint=dense,
        strategy="mirrored",
        resume=True,
        epochs=3,
    )
    resumed.train()
    assert_replicas_equal(resumed)


def test_a_refused_run_leaves_nothing(tmp_path):
    with pytest.raises(UsageError, match="must be a .keras file or the folder"):
        prepared(tmp_path / "run", initial_checkpoint="nothing")
    assert not (tmp_path / "run").exists()


def wide(text):
    """The network with so many units that no memory suffices."""
    return re.sub(r"\b150\b", "1000000000", text)


def with_code(text):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Lambda(lambda x: x + 1)(inputs)
    return keras.Model(inputs, x).to_json()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: None, "it holds no network$"),
        (lambda text: "", "it holds no network .Expecting value"),
        (lambda text: "[" * 10000, "it holds no network .maximum recursion"),
        (lambda text: "3", "it holds no network"),
        (lambda text: "{}", "it holds no network"),
        (lambda text: '"relu"', "it holds no network"),
        (wide, "it holds no network .training its weights would take"),
        (with_code, "it holds no network .*[Ll]ambda"),
    ],
)
def test_a_hostile_network_is_refused(change, message, whole, dense, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    read = checkpoint.read_newest(whole[0] / "checkpoints")
    text = change(read.architecture)
    save_with(folder / "step-28.npz", read, header={"architecture": text})
    before = (folder / "step-28.npz").read_bytes()
    tracemalloc.start()
    with pytest.raises(UsageError, match=message):
        prepared(tmp_path / "run", initial_checkpoint=dense, resume=True)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert (folder / "step-28.npz").read_bytes() == before
    assert os.listdir(tmp_path / "run") == ["checkpoints"]


def test_another_network_is_refused(whole, dense, tmp_path):
    """A whole one, whose variables are not those of the checkpoint."""
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    read = checkpoint.read_newest(whole[0] / "checkpoints")
    other = models.lenet_300_100((8, 8, 1)).to_json()
    save_with(folder / "step-28.npz", read, header={"architecture": other})
    with pytest.raises(UsageError, match="is of another model"):
        prepared(tmp_path / "run", initial_checkpoint=dense, resume=True)


def test_what_cannot_be_built_again_is_refused():
    """A table that the layer fills by itself, which no text tells."""

    class Growing(keras.layers.Layer):
        def build(self, shape):
            self.add_weight(shape=(self.size,), name="table")

        def call(self, x):
            return x

        size = 3

    with keras.saving.custom_object_scope({"Growing": Growing}):
        inputs = keras.Input((2,))
        made = architecture.prepared(
            keras.Model(inputs, Growing()(inputs), name="net")
        )
        assert made.build().variables[0].shape == (3,)
        Growing.size = 4
        with pytest.raises(ValueError, match="The network 'net' that"):
            made.build()
