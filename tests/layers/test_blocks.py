"""Layers that store active blocks only."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.core.grouping import Grouping
from dsr_tf.layers import SparseDense
from dsr_tf.layers import masked_weights
from tests.conftest import needs_tensorflow
from tests.conftest import values


def blocks(units=96, **arguments):
    arguments = {"sparsity": 0.8, "seed": 0, **arguments}
    return SparseDense(
        units, granularity="block:32", storage="blocks", **arguments
    )


def a_model(**arguments):
    inputs = keras.Input((56,))
    x = SparseDense(64, **arguments, activation="relu", seed=1)(inputs)
    return keras.Model(inputs, SparseDense(10, **arguments, seed=2)(x))


STORED = {"granularity": "block:16", "storage": "blocks", "sparsity": 0.7}


def data(number=64, size=56):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(number, size)).astype("float32")
    return x, generator.integers(0, 10, number)


def compiled(model, optimizer="adam", **arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **arguments)
    return model


def test_a_layer_computes_with_its_kernel():
    layer = blocks()
    layer.build((None, 160))
    assert layer.num_slots == 2
    (weight,) = masked_weights(layer)
    assert weight.num_active == 3 * 1024 and weight.kernel.shape == (3, 64, 32)
    x = data(6, 160)[0]
    expected = x @ values(layer.kernel)
    np.testing.assert_allclose(values(layer(x)), expected, atol=1e-5)
    stacked = values(layer(x.reshape(2, 3, 160)))
    np.testing.assert_allclose(stacked.reshape(6, 96), expected, atol=1e-5)


def test_initial_weights_have_the_deviation_of_the_whole_kernel():
    layer = blocks(512, kernel_initializer="he_normal")
    layer.build((None, 512))
    stored = masked_weights(layer)[0].variable.groups()
    assert stored.std() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    # Of others the whole is drawn.
    layer = blocks(64, kernel_initializer="orthogonal", sparsity=0.0)
    layer.build((None, 64))
    kernel = values(layer.kernel)
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(64), atol=1e-5)


def test_no_tensor_of_the_whole_size():
    layer = blocks(256, sparsity=0.9)
    layer.build((None, 320))
    sizes = [int(np.prod(v.shape)) for v in layer.variables]
    assert max(sizes) < 320 * 256 / 4


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adagrad", "adamw"])
def test_empty_slots_stay_empty(optimizer):
    model = compiled(a_model(**STORED, num_slots=3), optimizer)
    model.fit(*data(), epochs=2, verbose=0)
    for weight in masked_weights(model):
        kernel = values(weight.kernel).reshape(-1, weight.group_size)
        active = values(weight.variable.where[1]).reshape(-1)
        assert not kernel[~active].any() and kernel[active].any()
        assert not active.all()


def a_dense_model():
    inputs = keras.Input((56,))
    x = keras.layers.Dense(64, activation="relu", kernel_regularizer="l2")(
        inputs
    )
    x = keras.layers.LayerNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x))


def test_sparsify():
    dense = a_dense_model()
    model = dsr_tf.sparsify(
        dense, 0.75, granularity="block:16", storage="blocks", seed=0
    )
    summary = dsr_tf.sparsity_summary(model)
    assert summary.num_masked == 56 * 64 + 640
    assert summary.num_parameters == dense.count_params()
    for weight in masked_weights(model):
        room = weight.grouping.room
        counts = room.counts(weight.variable.places())
        assert counts.max() <= room.num_slots
        assert room.num_slots == weight.layer.num_slots
    # What is kept is copied to the bit.
    kernel = values(dense.layers[1].kernel)
    kept = values(model.layers[1].kernel)
    assert set(np.unique(kept[kept != 0])) <= set(np.unique(kernel))
    compiled(model).fit(*data(), verbose=0)


def test_what_pays_is_chosen_and_logged(caplog):
    inputs = keras.Input((784,))
    x = keras.layers.Dense(64)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    with caplog.at_level("INFO", logger="absl"):
        sparse = dsr_tf.sparsify(
            model, 0.8, granularity="block:32", storage="auto", seed=0
        )
    stored = [layer.storage for layer in sparse.layers[1:]]
    assert stored == ["blocks", "masked"]
    assert "dense/kernel is stored as 'blocks'" in caplog.text.replace(
        sparse.layers[1].name, "dense"
    )
    # Where much is active dense products are faster.
    dense = dsr_tf.with_storage(
        dsr_tf.sparsify(model, 0.5, granularity="block:32"), "auto"
    )
    assert {layer.storage for layer in dense.layers[1:]} == {"masked"}


@pytest.mark.parametrize(
    ("side", "dtype", "density", "stored"),
    [
        (128, "float32", 0.1, True),
        (128, "bfloat16", 0.1, True),
        (128, "float32", 0.2, False),
        (64, "float32", 0.03, True),
        (64, "bfloat16", 0.03, False),
        (32, "float32", 0.01, False),
    ],
)
def test_what_pays_on_gpus(monkeypatch, side, dtype, density, stored):
    from dsr_tf.layers.storages import blocks

    monkeypatch.setattr(blocks, "computes_on_gpu", lambda: True)
    for units in (2048, 1024):
        grouping = Grouping((2048, units), (side, side))
        number = round(density * grouping.num_groups)
        pays = blocks.BlockVariable.pays(grouping, number, dtype, False)
        assert pays == (stored and units == 2048)


def test_bytes_in_the_summary():
    model = compiled(a_model(**STORED))
    before = dsr_tf.sparsity_summary(model).layers
    assert [layer.slot_bytes for layer in before] == [None, None]
    model.fit(*data(), verbose=0)
    summary = dsr_tf.sparsity_summary(model)
    first = summary.layers[0]
    kernel = model.layers[1]._kernel
    assert first.weight_bytes == 4 * int(np.prod(kernel.shape))
    # A place and a byte of a slot; Adam has two numbers for each weight.
    num_slots = (
        kernel.shape[0]
        * model.layers[1].masked_variables["kernel"].grouping.room.num_slots
    )
    assert first.mask_bytes == 5 * num_slots
    assert first.slot_bytes == 2 * first.weight_bytes
    assert "blocks" in str(summary) and "slots of the" in str(summary)
    assert summary.to_dict()["layers"][0]["storage"] == "blocks"


def test_a_compiled_model_stays_compiled():
    model = compiled(a_model(granularity="block:16", sparsity=0.7))
    model.fit(*data(), verbose=0)
    stored = dsr_tf.with_storage(model, "blocks")
    stored.fit(*data(), verbose=0)
    assert stored.optimizer is not model.optimizer
    same = dsr_tf.with_storage(stored, "masked", inplace=True)
    assert same is stored
    same.fit(*data(), verbose=0)


def test_magnitudes_with_room():
    model = dsr_tf.sparsify(
        a_dense_model(),
        0.75,
        granularity="block:16",
        mask="magnitude",
        storage="blocks",
        slack=1.0,
    )
    weight = masked_weights(model)[0]
    counts = weight.grouping.room.counts(weight.variable.places())
    assert counts.max() <= -(-counts.sum() // len(counts))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    layer = blocks(dtype=policy)
    outputs = layer(data(4, 64)[0])
    assert keras.backend.standardize_dtype(outputs.dtype) == policy[6:]


@needs_tensorflow
@pytest.mark.parametrize("jit", [False, True])
def test_fit_compiled_and_in_executions_of_several_steps(jit):
    model = a_model(**STORED)
    compiled(model, jit_compile=jit, steps_per_execution=2)
    first, last = (
        model.fit(*data(), epochs=4, batch_size=16, verbose=0).history["loss"][
            i
        ]
        for i in (0, -1)
    )
    assert last < first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"storage": "rows"}, "`storage` of SparseDense must be one of masked"),
        ({"num_slots": 0}, "`num_slots` must be None or a positive integer"),
        ({"num_slots": 1, "sparsity": 0.0}, "`num_slots` must be at least 2"),
        ({"granularity": "2:4", "sparsity": 0.5}, "is for matrices in blocks"),
        ({"kernel_constraint": "non_neg"}, "cannot be held to a constraint"),
        ({"kernel_regularizer": "orthogonal_regularizer"}, "must be L1, L2"),
    ],
)
def test_bad_arguments(arguments, message):
    given = {"granularity": "block:32", "storage": "blocks", **arguments}
    with pytest.raises(ValueError, match=message):
        SparseDense(64, seed=0, **given).build((None, 64))


@needs_tensorflow
def test_exports(tmp_path):
    model = a_model(**STORED)
    x = data()[0]
    outputs = model.predict(x, verbose=0)
    dsr_tf.export.saved_model(model, tmp_path / "small")
    model.export(tmp_path / "blocks", verbose=False)
    import tensorflow as tf

    for folder in ("small", "blocks"):
        served = tf.saved_model.load(tmp_path / folder)
        (found,) = served.signatures["serving_default"](tf.constant(x)).values()
        np.testing.assert_allclose(found, outputs, atol=1e-6)
    # What Keras exports has the blocks, and nothing of the whole size.
    sizes = [int(np.prod(v.shape)) for v in served.variables]
    assert max(sizes) < 56 * 64


def test_pruning_in_small_steps():
    model = compiled(a_model(**{**STORED, "sparsity": 0.3}))
    pruning = dsr_tf.callbacks.GradualPruning(
        initial_sparsity=0.3,
        target_sparsity=0.7,
        begin_pruning_step=1,
        sparsity_function_begin_step=1,
        end_pruning_step=8,
        sparsity_function_end_step=8,
        pruning_frequency=1,
    )
    model.fit(*data(), batch_size=16, epochs=4, verbose=0, callbacks=[pruning])
    for weight in masked_weights(model):
        share = weight.variable.num_active_groups() / weight.grouping.num_groups
        assert share == pytest.approx(0.3, abs=0.1)
        kernel = values(weight.kernel).reshape(-1, weight.group_size)
        assert not kernel[~values(weight.variable.where[1]).reshape(-1)].any()


@pytest.mark.parametrize(
    ("what", "use"),
    [
        ("cluster", lambda model: dsr_tf.cluster(model, bits=4)),
        ("Structure", lambda model: dsr_tf.structure.cost(model)),
    ],
)
def test_what_needs_whole_kernels_says_so(what, use):
    with pytest.raises(ValueError, match=f"`{what}` needs whole kernels"):
        use(a_model(**STORED))


def test_bad_models():
    model = dsr_tf.sparsify(a_dense_model(), 0.5, seed=0)
    with pytest.raises(ValueError, match="is for matrices in blocks"):
        dsr_tf.with_storage(model, "blocks")
    with pytest.raises(ValueError, match="no such storage of SparseDense"):
        dsr_tf.sparsify(a_dense_model(), 0.5, storage="rows")
    with pytest.raises(ValueError, match="must be one of masked, blocks"):
        dsr_tf.with_storage(model, "stripes")
    with pytest.raises(ValueError, match="`slack` must be a finite number"):
        dsr_tf.with_storage(model, "blocks", slack=0.5)
    layer = blocks()
    layer.build((None, 64))
    with pytest.raises(ValueError, match="LoRA has no place for"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="so there is no mask"):
        print(masked_weights(layer)[0].mask)
    with pytest.raises(AttributeError, match="so there is no mask"):
        print(layer.mask)
    with pytest.raises(AttributeError, match="has no attribute 'kernels'"):
        print(layer.kernels)


@needs_tensorflow
def test_variables_of_places_are_such_as_gpus_have(monkeypatch):
    """TensorFlow has no variables of int32 there."""
    from dsr_tf.layers.storages import devices

    monkeypatch.setattr(devices, "computes_on_gpu", lambda: True)
    model = compiled(a_model(**STORED))
    reallocation = dsr_tf.callbacks.DynamicSparseReparameterization(
        num_reallocated=0.1, initial_threshold=0.1, period=4, seed=0
    )
    model.fit(*data(), verbose=0, epochs=4, callbacks=[reallocation])
    assert "int32" not in {v.dtype for v in model.variables}
