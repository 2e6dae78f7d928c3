"""Embeddings that store active weights of each row only."""

import tracemalloc

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

import dsr_tf
from dsr_tf.core.row_lookup import look_up
from dsr_tf.layers import SparseEmbedding
from dsr_tf.layers import SparseReversibleEmbedding
from dsr_tf.layers import masked_weights
from tests.conftest import needs_tensorflow
from tests.conftest import slow_on_jax
from tests.conftest import values


def rows(input_dim=50, output_dim=16, **arguments):
    arguments = {"sparsity": 0.8, "seed": 0, **arguments}
    layer = SparseEmbedding(input_dim, output_dim, storage="rows", **arguments)
    layer.build()
    return layer


def a_model(**arguments):
    arguments = {"sparsity": 0.8, "seed": 1, "mask_zero": True, **arguments}
    inputs = keras.Input((6,), dtype="int32")
    x = SparseEmbedding(40, 16, **arguments)(inputs)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def data(number=64):
    """Whether there are more words from the first half of the vocabulary."""
    generator = np.random.default_rng(0)
    x = generator.integers(0, 40, (number, 6))
    return x, (x > 20).sum(axis=1) > 3


def compiled(model, optimizer="adam", **arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **arguments)
    return model


def gradient_of(loss, array):
    """Of an array; the function returns its loss, and something else."""
    if keras.backend.backend() == "jax":
        import jax

        (_, other), found = jax.value_and_grad(loss, has_aux=True)(array)
        return values(found), values(other)
    import tensorflow as tf

    array = tf.constant(array)
    with tf.GradientTape() as tape:
        tape.watch(array)
        value, other = loss(array)
    found = tape.gradient(value, array)
    return values(tf.convert_to_tensor(found)), values(other)


@given(
    st.sampled_from([1, 5]),
    st.sampled_from([(), (3,), (2, 2)]),
    st.integers(0, 99),
)
def test_a_lookup(size, batch, seed):
    """Rows, and the gradient, are those of the whole table."""
    generator = np.random.default_rng(seed)
    num_rows, num_slots = 4, min(size, 3)
    columns = np.stack(
        [generator.permutation(size)[:num_slots] for _ in range(num_rows)]
    )
    stored = generator.normal(size=columns.shape).astype("float32")
    is_empty = generator.random(columns.shape) < 0.3
    stored[is_empty], columns[is_empty] = 0, size
    whole = np.zeros((num_rows, size + 1), "float32")
    np.put_along_axis(whole, columns, stored, axis=1)
    indices = generator.integers(0, num_rows, batch)
    upstream = generator.normal(size=(*batch, size)).astype("float32")

    def loss(stored):
        found = look_up(
            stored,
            ops.convert_to_tensor(columns.astype("uint8")),
            ops.convert_to_tensor(indices, "int32"),
            size,
        )
        return ops.sum(found * upstream), found

    gradient, found = gradient_of(loss, stored)
    np.testing.assert_array_equal(found, whole[indices, :size])
    expected = np.zeros((num_rows, size + 1), "float32")
    np.add.at(expected[:, :size], indices, upstream)
    expected[:, size] = 0
    expected = np.take_along_axis(expected, columns, axis=1)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    assert not gradient[is_empty].any()


def test_a_layer_looks_up_in_its_table():
    layer = rows()
    (weight,) = masked_weights(layer)
    # 160 of 800: rows of 3 or 4, which all have 4 slots.
    assert layer.num_slots == 4 and weight.kernel.shape == (50, 4)
    table = values(layer.embeddings)
    assert set((table != 0).sum(axis=1)) == {3, 4} and (table != 0).sum() == 160
    for ids in (7, [1, 1, 49], np.arange(40).reshape(4, 5, 2)):
        outputs = values(layer(np.array(ids)))
        np.testing.assert_array_equal(outputs, table[ids])
    assert layer.compute_output_shape((None, 5)) == (None, 5, 16)


@pytest.mark.parametrize(
    ("size", "dtype"), [(255, "uint8"), (256, "int16"), (40_000, "int32")]
)
def test_columns_of_wide_tables(size, dtype):
    layer = rows(6, size, num_slots=size // 2, sparsity=0.7)
    (weight,) = masked_weights(layer)
    (columns,) = weight.variable.where
    assert keras.backend.standardize_dtype(columns.dtype) == dtype
    assert weight.num_active == round(0.3 * 6 * size)
    places = weight.variable.places()
    assert places.max() < 6 * size and (np.diff(places) > 0).all()
    table = values(layer.embeddings)
    np.testing.assert_array_equal(
        values(layer(np.array([5, 0]))), table[[5, 0]]
    )


def test_initial_weights_have_the_deviation_of_the_whole_table():
    layer = rows(500, 64, embeddings_initializer="glorot_normal")
    stored = masked_weights(layer)[0].variable.groups()
    assert stored.std() == pytest.approx((2 / 564) ** 0.5, rel=0.03)


@needs_tensorflow
def test_nothing_of_the_size_of_the_table():
    """In variables, nor in the graph of a step and its gradients, which are
    those of the rows of the batch."""
    import tensorflow as tf

    layer = rows(1_000, 32, sparsity=1 - 3 / 32)
    stored = layer.trainable_variables[0]

    @tf.function
    def step(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(ids) ** 2)
        gradient = tape.gradient(loss, stored.value)
        assert isinstance(gradient, tf.IndexedSlices)
        return gradient.values, gradient.indices

    ids = tf.constant([[3, 5, 3, 999]])
    graph = step.get_concrete_function(ids).graph
    tensors = [t for op in graph.get_operations() for t in op.outputs]
    sizes = [t.shape.num_elements() for t in [*tensors, *layer.variables]]
    assert max(size or 0 for size in sizes) == 3_000
    assert step(ids)[1].numpy().tolist() == [3, 5, 3, 999]


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adagrad", "adamw"])
def test_empty_slots_stay_empty(optimizer):
    model = compiled(a_model(storage="rows", num_slots=5), optimizer)
    model.fit(*data(), epochs=2, verbose=0)
    (weight,) = masked_weights(model)
    kernel, columns = values(weight.kernel), values(weight.variable.where[0])
    is_empty = columns == 16
    assert is_empty.sum() == 40 * 5 - weight.num_active
    assert not kernel[is_empty].any() and kernel[~is_empty].all()


def test_files(tmp_path):
    model = compiled(a_model(storage="rows"))
    x, y = data()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    for trained in (model, loaded):
        trained.fit(x, y, shuffle=False, verbose=0)
    pairs = zip(
        loaded.variables + loaded.optimizer.variables,
        model.variables + model.optimizer.variables,
    )
    for ours, theirs in pairs:
        np.testing.assert_array_equal(values(ours), values(theirs))


def test_files_of_a_large_table(tmp_path):
    """To save and load them, no table is made."""
    model = keras.Sequential(
        [keras.Input((1,)), rows(20_000, 2_000, sparsity=0.999)]
    )
    tracemalloc.start()
    model.save(tmp_path / "m.keras")
    keras.models.load_model(tmp_path / "m.keras")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 2_000 / 2


def test_files_of_the_other_storage(tmp_path):
    x = data()[0]
    for source, target in (
        (a_model(storage="rows"), a_model(sparsity=0.5)),
        (a_model(num_slots=4), a_model(storage="rows", sparsity=0.75)),
    ):
        source.save_weights(tmp_path / "w.weights.h5")
        target.load_weights(tmp_path / "w.weights.h5")
        np.testing.assert_array_equal(
            target.predict(x, verbose=0), source.predict(x, verbose=0)
        )
    a_model().save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ValueError, match="A row may have 4 active groups"):
        target.load_weights(tmp_path / "w.weights.h5")


def test_both_storages_start_with_the_same_places():
    models = a_model(storage="rows", num_slots=4), a_model(num_slots=4)
    stored, masked = (masked_weights(m)[0].variable.places() for m in models)
    np.testing.assert_array_equal(stored, masked)


def test_there_and_back():
    stored = a_model(storage="rows")
    masked = dsr_tf.with_storage(stored, "masked")
    back = dsr_tf.with_storage(masked, "rows")
    x = data()[0]
    outputs = stored.predict(x, verbose=0)
    assert masked.layers[1].num_slots == 4
    for model in (masked, back, dsr_tf.strip(stored)):
        np.testing.assert_array_equal(model.predict(x, verbose=0), outputs)
    names = [[v.path for v in m.variables] for m in (stored, back)]
    assert names[0] == names[1]
    for ours, theirs in zip(stored.variables, back.variables):
        np.testing.assert_array_equal(values(ours), values(theirs))
    plain = dsr_tf.strip(stored).layers[1]
    assert type(plain) is keras.layers.Embedding and plain.mask_zero


def a_text_model():
    inputs = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(40, 16, embeddings_regularizer="l2")(inputs)
    x = keras.layers.LSTM(4)(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


@pytest.mark.parametrize("mask", ["random", "magnitude"])
def test_sparsify(mask):
    dense = a_text_model()
    model = dsr_tf.sparsify(dense, 0.75, mask=mask, storage="rows", seed=0)
    weights = masked_weights(model)
    assert [w.variable.is_stored for w in weights] == [
        True,
        False,
        False,
        False,
    ]
    counts = weights[0].grouping.room.counts(weights[0].variable.places())
    assert counts.tolist() == [4] * 40 and weights[0].layer.num_slots == 4
    summary = dsr_tf.sparsity_summary(model)
    assert summary.num_parameters == dense.count_params()
    before, after = (values(m.layers[1].embeddings) for m in (dense, model))
    np.testing.assert_array_equal(after[after != 0], before[after != 0])
    if mask == "magnitude":
        least = np.sort(np.abs(before), axis=1)[:, -4]
        np.testing.assert_array_equal(
            after != 0, np.abs(before) >= least[:, None]
        )
    penalty = float(model.losses[0])
    assert penalty == pytest.approx(0.01 * (after**2).sum(), rel=1e-5)


@pytest.mark.parametrize(
    "jit",
    [
        pytest.param(False, marks=slow_on_jax),
        pytest.param(True, marks=needs_tensorflow),
    ],
)
def test_fit_with_reallocations(jit):
    model = a_model(storage="rows", num_slots=5)
    callback = dsr_tf.callbacks.DynamicSparseReparameterization(
        num_reallocated=0.2, period=4, seed=0
    )
    before = masked_weights(model)[0].variable.places()
    compiled(model, keras.optimizers.Adam(0.05), jit_compile=jit)
    losses = model.fit(
        *data(256), 16, epochs=4, verbose=0, callbacks=[callback]
    ).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    after = masked_weights(model)[0].variable.places()
    assert len(after) == len(before) and not np.array_equal(after, before)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    layer = rows(dtype=policy)
    outputs = layer(np.array([[1, 2]]))
    assert keras.backend.standardize_dtype(outputs.dtype) == policy[6:]
    table = ops.cast(layer.embeddings, policy[6:])
    np.testing.assert_array_equal(values(outputs)[0], values(table)[1:3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"storage": "blocks"},
            "of SparseEmbedding must be one of masked, rows",
        ),
        ({"num_slots": 0}, "`num_slots` must be None or a positive integer"),
        ({"num_slots": 3}, "`num_slots` must be at least 4 for 128 active"),
        ({"granularity": "2:4", "sparsity": 0.5}, "with a pattern N:M"),
        ({"granularity": "input"}, "is for tables of single weights"),
        ({"embeddings_constraint": "non_neg"}, "cannot be held to a constr"),
        (
            {"embeddings_regularizer": "orthogonal_regularizer"},
            "must be L1, L2",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    given = {"sparsity": 0.8, "storage": "rows", **arguments}
    with pytest.raises(ValueError, match=message):
        SparseEmbedding(40, 16, seed=0, **given).build()


def test_what_is_refused():
    with pytest.raises(
        ValueError, match="Embedding must be one of masked. Rec"
    ):
        SparseReversibleEmbedding(40, 16, storage="rows")
    layer = rows()
    with pytest.raises(ValueError, match="LoRA has no place for"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="quantization has no place for"):
        layer.quantize("int8")
    with pytest.raises(ValueError, match="is for tables of single weights"):
        dsr_tf.sparsify(
            a_text_model(), 0.5, granularity="channel", storage="rows"
        )
