"""Layers that store active weights and their places."""

import keras
import numpy as np
import pytest
from keras import ops

import dsr_tf
from dsr_tf.layers import SparseDense
from dsr_tf.layers import masked_weights
from dsr_tf.layers.in_place import unmask_layer
from dsr_tf.layers.storages import lists as storage
from tests.conftest import needs_tensorflow
from tests.conftest import outputs_of
from tests.conftest import snapshot
from tests.conftest import values
from tests.layers.test_blocks import a_dense_model
from tests.layers.test_blocks import compiled
from tests.layers.test_blocks import data

pytestmark = needs_tensorflow


def lists(units=30, **arguments):
    arguments = {"sparsity": 0.8, "seed": 0, **arguments}
    return SparseDense(units, storage="lists", **arguments)


def a_model(**arguments):
    arguments = {"sparsity": 0.9, "storage": "lists", **arguments}
    inputs = keras.Input((56,))
    x = SparseDense(64, **arguments, activation="relu", seed=1)(inputs)
    return keras.Model(inputs, SparseDense(10, **arguments, seed=2)(x))


@pytest.mark.parametrize("shape", [(6, 40), (2, 3, 40)])
def test_a_layer_computes_with_its_kernel(shape):
    layer = lists(activation="relu")
    layer.build((None, 40))
    (weight,) = masked_weights(layer)
    assert weight.num_active == 240 and weight.kernel.shape == (300,)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    expected = np.maximum(x @ values(layer.kernel), 0)
    np.testing.assert_allclose(values(layer(x)), expected, atol=1e-5)
    assert layer.compute_output_shape(shape) == (*shape[:-1], 30)
    assert layer(keras.Input(shape[1:])).shape == (None, *shape[1:-1], 30)


def test_kernels_of_so_many_weights_that_places_have_two_numbers(monkeypatch):
    layers = []
    for many in (storage.MANY, 1):
        monkeypatch.setattr(storage, "MANY", many)
        layers.append(lists())
        layers[-1].build((None, 40))
    one, two = layers
    assert [len(w.variable.where) for w in map(first_of, layers)] == [2, 3]
    # `places` of each reads what is there.
    np.testing.assert_array_equal(
        first_of(one).variable.places(), first_of(two).variable.places()
    )
    first_of(two).kernel.assign(first_of(one).kernel)
    x = data(6, 40)[0]
    np.testing.assert_array_equal(values(one(x)), values(two(x)))


def first_of(layer):
    return masked_weights(layer)[0]


def test_no_tensor_of_the_whole_size():
    """Nowhere in the graph of a step, its gradients and updates included."""
    assert largest_in_a_step(a_model(storage="masked")) == 56 * 64
    assert largest_in_a_step(a_model()) <= 8 * 64


def largest_in_a_step(model):
    compiled(model).train_on_batch(*data(8))
    return largest_tensor(model, data(8))


def largest_tensor(model, batch):
    """The most numbers that a tensor has in the graph of a step."""
    import tensorflow as tf

    graph = tf.function(model.train_step).get_concrete_function(batch).graph
    definition = graph.as_graph_def(add_shapes=True)
    nodes = list(definition.node)
    for function in definition.library.function:
        nodes += function.node_def
    shapes = [
        tf.TensorShape(shape)
        for node in nodes
        for shape in node.attr["_output_shapes"].list.shape
    ]
    sizes = [shape.num_elements() for shape in shapes]
    return max(size for size in sizes if size is not None)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adagrad", "adamw"])
def test_empty_slots_stay_empty(optimizer):
    model = compiled(a_model(num_slots=500), optimizer)
    model.fit(*data(), verbose=0)
    for weight in masked_weights(model):
        kernel = values(weight.kernel)
        assert len(kernel) == 500 and kernel[: weight.num_active].all()
        assert not kernel[weight.num_active :].any()


@pytest.mark.parametrize("shape", [(0, 56), (0, 3, 56)])
def test_a_batch_without_examples(shape):
    """Such as that of the last replica, when an epoch ends."""
    layer = lists()
    layer.build((None, 56))
    inputs = ops.zeros(shape)
    weight = layer.masked_variables["kernel"]

    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    assert outputs.shape == (*shape[:-1], 30)
    found = tape.gradient(outputs, [inputs, weight.kernel.value])
    assert found[0].shape == shape and not values(found[1]).any()


@pytest.mark.parametrize("mask", ["random", "magnitude"])
def test_sparsify(mask):
    model = dsr_tf.sparsify(
        a_dense_model(), 0.75, storage="lists", slack=1.5, mask=mask, seed=0
    )
    assert dsr_tf.sparsity_summary(model).num_masked == 56 * 64 + 640
    for weight in masked_weights(model):
        assert weight.num_active == weight.size / 4
        assert weight.kernel.shape[0] == weight.size * 3 / 8
    # XLA is left off.
    assert not compiled(model).jit_compile
    x, y = data()
    history = model.fit(x, y, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    """Computed in 32 bits, from numbers of 16 and to such."""
    model = a_model(dtype=policy)
    x, y = data()
    outputs = model(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == policy[6:]
    np.testing.assert_allclose(
        values(ops.cast(outputs, "float32")),
        values(ops.cast(dsr_tf.strip(model)(x), "float32")),
        atol=0.02,
    )
    history = compiled(model).fit(x, y, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_executions_of_several_steps():
    x, y = data()
    models = [compiled(a_model(), steps_per_execution=n) for n in (1, 2)]
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0)
    for ours, theirs in zip(snapshot(models[0]), snapshot(models[1])):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_saved_models(tmp_path):
    import tensorflow as tf

    model = compiled(a_model())
    x, y = data()
    model.fit(x, y, verbose=0)
    expected = outputs_of(model, tf.constant(x))
    model.export(tmp_path / "keras", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "keras")
    np.testing.assert_array_equal(loaded.serve(x), expected)
    tf.saved_model.save(model, tmp_path / "whole")
    dsr_tf.export.saved_model(model, tmp_path / "small")
    for folder in ("whole", "small"):
        served = tf.saved_model.load(tmp_path / folder).signatures
        (outputs,) = served["serving_default"](tf.constant(x)).values()
        np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_what_pays_is_chosen():
    inputs = keras.Input((1024,))
    x = keras.layers.Dense(1024)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    for sparsity, first in ((0.95, "lists"), (0.9, "masked")):
        sparse = dsr_tf.sparsify(model, sparsity, storage="auto", seed=0)
        stored = [layer.storage for layer in sparse.layers[1:]]
        assert stored == [first, "masked"]


def test_pruning_in_small_steps():
    model = compiled(a_model(sparsity=0.5))
    pruning = dsr_tf.callbacks.GradualPruning(
        initial_sparsity=0.5,
        target_sparsity=0.9,
        begin_pruning_step=1,
        sparsity_function_begin_step=1,
        end_pruning_step=4,
        sparsity_function_end_step=4,
        pruning_frequency=1,
    )
    model.fit(*data(), batch_size=16, epochs=2, verbose=0, callbacks=[pruning])
    for weight in masked_weights(model):
        assert weight.num_active == pytest.approx(weight.size / 10, abs=1)
        assert np.count_nonzero(values(weight.kernel)) == weight.num_active


def test_a_layer_that_becomes_dense_before_it_is_built():
    layer = lists()
    assert not layer.supports_jit
    unmask_layer(layer)
    assert layer.supports_jit and type(layer) is keras.layers.Dense


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_slots": 5}, "`num_slots` must be at least 192 for 192 active"),
        ({"granularity": "block:2x2"}, "is for matrices of single weights"),
        ({"granularity": "2:4", "sparsity": 0.5}, "with a pattern"),
        ({"kernel_constraint": "non_neg"}, "cannot be held to a constraint"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        lists(16, sparsity=arguments.pop("sparsity", 0.8), **arguments).build(
            (None, 60)
        )


def test_bad_backends(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="Received: the backend 'jax'"):
        lists().build((None, 4))
