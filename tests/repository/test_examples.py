"""Blocks of code of the documents, run."""

import dataclasses
import types

import keras
import numpy as np
import tensorflow as tf

import dsr_tf
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import values
from tests.repository.documents import run_example


def test_the_loop_of_ones_own_works(data):
    model = make_model()
    before = [w.mask.numpy() for w in dsr_tf.masked_weights(model)]
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8)
    run_example("docs/loops.md", "loop", model=model, batches=batches)
    weights = dsr_tf.masked_weights(model)
    assert sum(w.num_active for w in weights) == 90
    assert any((w.mask.numpy() != m).any() for w, m in zip(weights, before))
    assert_zero_outside_masks(model)


def test_the_method_of_ones_own_works(data):
    names = run_example("docs/own_method.md", "method")
    records = []
    callback = dsr_tf.callbacks.Reallocation(
        names["Drift"](0.1), period=5, seed=0, listener=records.append
    )
    model = make_model()
    model.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    assert len(records) == 7
    assert {r.num_active for r in records} == {90}
    assert sum(r.num_grown for r in records) > 0


def test_pruning_below_thresholds_works():
    names = run_example("docs/methods.md", "thresholds")
    assert len(names["q"]) == 2
    images = np.random.default_rng(0).random((32, 28, 28), "float32")
    # Sooner than after 600 updates of 100 images.
    rule = names["rule"]
    rule = dataclasses.replace(rule, start=0, ramp=2, end=4, frequency=1)
    names["pruning"].rule = rule
    names["model"].fit(
        images, np.arange(32) % 10, 8, 2, 0, callbacks=[names["pruning"]]
    )
    # About a tenth is above q, and the last threshold is 1.2 q.
    for weight in dsr_tf.masked_weights(names["model"]):
        assert 0 < weight.num_active < weight.size / 2


def test_growth_from_a_seed_works():
    images = np.random.default_rng(0).random((32, 784), "float32")
    given = {"images": images, "labels": np.arange(32) % 10}
    names = run_example("docs/methods.md", "growth", **given)
    weights = dsr_tf.masked_weights(names["model"])
    # A tenth of 784 * 120, 120 * 40 and 40 * 10 connections.
    assert [w.num_active for w in weights] == [9408, 480, 40]
    nest = names["nest"]
    nest.hyperparameters = dataclasses.replace(
        nest.hyperparameters, frequency=2, grow_steps=1, target=2.0
    )
    names["model"].fit(*given.values(), 8, 2, 0, callbacks=[nest])
    # A twentieth of about 78400 + 4320 + 360 has come, and a unit of each.
    assert 9408 + 3000 < weights[0].num_active < 9408 + 5000
    assert [values(w.mask).any(0).sum() for w in weights[:2]] == [121, 41]


def test_the_penalties_work():
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="conv1")(inputs)
    names = run_example(
        "docs/penalties.md", "penalties", model=keras.Model(inputs, x)
    )
    kernel = names["model"].get_layer("conv1").kernel
    weights = keras.ops.convert_to_numpy(kernel)
    norms = sum(
        np.sqrt((weights**2).sum(axis)).sum() for axis in ((0, 1, 2), 3)
    )
    loss = float(names["model"].losses[0])
    np.testing.assert_allclose(loss, 0.003 * norms, rtol=1e-6)
    assert kernel.constraint.threshold == 1e-4


def test_the_scales_work():
    inputs = keras.Input((4,))
    y = keras.layers.Dense(4, "relu")(inputs)
    outputs = keras.layers.Dense(1)(keras.layers.Add()([inputs, y]))
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    names = run_example("docs/structure.md", "scales", model=model, x=x, y=x)
    assert names["smaller"].count_params() <= model.count_params()
    np.testing.assert_allclose(
        names["smaller"](x), names["scaled"](x), rtol=1e-5, atol=1e-6
    )


def test_the_proximal_steps_work():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    names = run_example("docs/penalties.md", "proximal")
    names["optimizer"].build(model.trainable_variables)
    assert len(names["optimizer"]._rules) == 2


def test_channels_are_removed():
    from tests.structure import networks

    model = networks.residual()
    smaller = run_example("docs/structure.md", "structure", model=model)[
        "smaller"
    ]
    cost = dsr_tf.structure.cost(model).parameters
    assert 0.4 * cost < dsr_tf.structure.cost(smaller).parameters <= 0.5 * cost


def test_channels_that_masks_emptied_are_removed():
    from tests.structure import networks

    model = dsr_tf.sparsify(
        networks.sequential(), 0.5, granularity="channel", seed=0
    )
    names = {"model": model, "structure": dsr_tf.structure}
    smaller = run_example("docs/structure.md", "zeros", **names)["smaller"]
    inputs = networks.inputs_of(model)
    networks.assert_equal_outputs(model, smaller, inputs, 2e-6)
    assert smaller.get_layer("conv2").filters < 7


def test_the_penalty_on_groups_works():
    from tests.structure import networks

    names = {
        "model": networks.shake(networks.sequential()),
        "structure": dsr_tf.structure,
        "dsr_tf": dsr_tf,
    }
    model = run_example("docs/structure.md", "penalized", **names)["penalized"]
    assert len(model.losses) == 4 and float(sum(model.losses)) > 0


def test_weights_are_clustered(tmp_path):
    model = make_model()
    names = run_example(
        "docs/clustering.md",
        "clustering",
        model=model,
        path=tmp_path / "model.packed",
        x=np.ones((8, 12), "float32"),
        y=np.ones((8, 3), "float32"),
    )
    for weight in dsr_tf.layers.clustered_weights(names["loaded"]).values():
        assert len(np.unique(weight.kernel())) <= 17
    before = dsr_tf.sparsity_summary(model).num_active
    assert dsr_tf.sparsity_summary(names["loaded"]).num_active == before


def test_storing_active_weights_only():
    model = keras.Sequential(
        [keras.Input((256,)), keras.layers.Dense(96), keras.layers.Dense(256)]
    )
    x = np.ones((8, 256), "float32")
    names = {"model": model, "x": x, "y": x}
    sparse = run_example("docs/storage.md", "storage", **names)["sparse"]
    assert [layer.storage for layer in sparse.layers] == ["blocks", "blocks"]


def test_training_a_model_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def small(weights):
        inputs = keras.Input((6, 6, 3), name="pixels")
        x = keras.layers.Flatten()(keras.layers.Conv2D(8, 3)(inputs))
        return keras.Model(
            inputs, keras.layers.Dense(5, activation="softmax")(x)
        )

    monkeypatch.setattr(keras.applications, "ResNet50", small)
    names = run_example(
        "README.md",
        "own code",
        [("epochs=100", "epochs=6")],
        images=np.random.default_rng(0).random((8, 6, 6, 3), "float32"),
        labels=np.arange(8) % 5,
    )
    model, dense = names["model"], names["dense"]
    num_weights = 3 * 3 * 3 * 8 + 4 * 4 * 8 * 5
    summary = dsr_tf.sparsity_summary(model)
    assert summary.num_active == round(num_weights / 10)
    loaded = keras.models.load_model("model.keras")
    images = names["images"]
    np.testing.assert_array_equal(loaded(images), model(images))
    np.testing.assert_allclose(dense(images), model(images), rtol=1e-6)
    served = tf.saved_model.load("served").signatures["serving_default"]
    [outputs] = served(pixels=images).values()
    np.testing.assert_allclose(outputs, model(images), rtol=1e-6)


def test_gradual_pruning_works():
    trained = keras.Sequential([keras.Input((8,)), keras.layers.Dense(10)])
    names = run_example(
        "docs/methods.md",
        "gradual",
        [("12000", "12"), ("1200", "2")],
        trained=trained,
        images=np.ones((8, 8), "float32"),
        labels=np.arange(8),
    )
    assert dsr_tf.sparsity_summary(names["model"]).num_active == 8


def test_blocks_of_ones_own_become_sparse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_example("docs/models.md", "blocks")
    sparse, plain = names["sparse"], names["plain"]
    assert type(sparse.get_layer("block")).__name__ == "SparseBlock"
    assert dsr_tf.sparsity_summary(sparse).num_active == 26
    assert type(plain.get_layer("block")) is names["Block"]
    x = np.random.default_rng(0).random((2, 16), "float32")
    np.testing.assert_array_equal(plain(x), sparse(x))


def test_weights_of_a_model_that_has_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class MyModel(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = keras.layers.Dense(20, name="first")

        def call(self, inputs):
            return self.first(inputs)

    images = np.random.default_rng(0).random((8, 10), "float32")
    model = MyModel()
    model(images)
    model.compile("sgd", "mse")
    labels = np.ones((8, 20), "float32")
    names = {"model": model, "images": images, "labels": labels}
    again = run_example("docs/models.md", "weights", MyModel=MyModel, **names)[
        "again"
    ]
    assert dsr_tf.sparsity_summary(again).num_active == 20
    np.testing.assert_array_equal(again(images), model(images))


def test_a_kind_of_layer_of_ones_own():
    class MyLayer(keras.layers.Layer):
        def build(self, input_shape):
            self.scales = self.add_weight(
                name="scales", shape=input_shape[1:], initializer="ones"
            )

        def call(self, inputs):
            return inputs * self.scales

    run_example("docs/layers.md", "kind", MyLayer=MyLayer)
    model = keras.Sequential([keras.Input((20,)), MyLayer(name="mine")])
    sparse = dsr_tf.sparsify(model, 0.9)
    assert values(sparse(np.ones((1, 20), "float32"))).sum() == 2


def test_a_layer_that_channels_pass_through():
    class MyActivation(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.tanh(inputs)

    inputs = keras.Input((4,))
    x = MyActivation()(keras.layers.Dense(6, name="hidden")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    assert [c.name for c in dsr_tf.structure.channel_sets(model)] == []
    run_example("docs/structure.md", "register", MyActivation=MyActivation)
    [found] = dsr_tf.structure.channel_sets(model)
    assert (found.name, found.num_units) == ("hidden", 6)


def test_images_are_classified(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    dsr_tf.export.saved_model(
        dsr_tf.sparsify(model, 0.5),
        "DIR",
        preprocessing=lambda images: tf.cast(images, "float32") / 255,
    )
    images = tf.zeros((2, 4, 4, 1), "uint8")
    loaded = run_example("docs/export.md", "classify", images=images)["loaded"]
    found = loaded.signatures["classify"](image=images)["probabilities"]
    np.testing.assert_allclose(found, np.full((2, 3), 1 / 3), rtol=1e-6)


def test_budgets():
    names = run_example("docs/budgets.md", "budgets")
    num_weights = 64 * 300 + 300 * 10
    # Biases, and the scales and shifts of normalization.
    num_others = 300 + 10 + 2 * 300

    def num_active(name):
        return dsr_tf.sparsity_summary(names[name]).num_active

    assert num_active("by_kernels") == num_weights // 10
    assert num_active("by_model") == (num_weights + num_others) // 10 - (
        num_others
    )
    assert num_active("by_number") == 3000 - num_others
    assert num_active("by_layer") == 1920 + 1500


def test_the_method_of_ones_own_reads_flags():
    Drift = run_example("docs/own_method.md", "method")["Drift"]
    made = run_example("docs/own_method.md", "flag", Drift=Drift)["DriftOfRuns"]
    settings = types.SimpleNamespace(fraction=None)
    assert made.from_settings(settings, 100, 10).fraction == 0.2
    settings.fraction = 0.4
    assert made.from_settings(settings, 100, 10).fraction == 0.4
