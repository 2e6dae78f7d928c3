"""Kernels of few different weights: read, trained and saved."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from dsr_tf import layers
from dsr_tf.core import sparse_arrays
from tests.conftest import gradient_of
from tests.conftest import needs_tensorflow
from tests.conftest import values
from tests.layers.kinds import KINDS

KERNEL = np.array([[0, 1, 2, 0], [8, 0, 9, 1]], "float32")


def dense(bits=1, kernel=KERNEL, **arguments):
    layer = layers.ClusteredDense(4, bits=bits, **arguments)
    layer.build((None, len(kernel)))
    layer.set_kernel(kernel)
    return layer


def test_by_hand():
    layer = dense()
    np.testing.assert_allclose(values(layer.codebook), [4 / 3, 8.5])
    np.testing.assert_array_equal(
        values(layer.codes), [[0, 1, 1, 0], [2, 0, 2, 1]]
    )
    np.testing.assert_array_equal(
        values(layer.kernel),
        np.append(0, values(layer.codebook))[values(layer.codes)],
    )
    (weight,) = layers.clustered_weights(layer).values()
    assert (weight.size, weight.num_active, weight.bits) == (8, 5, 1)
    # With as many as there are, the kernel is the same to the bit.
    np.testing.assert_array_equal(values(dense(bits=2).kernel), KERNEL)


def test_the_gradient_is_summed_over_the_places():
    layer = dense()
    g = np.arange(8, dtype="float32").reshape(2, 4)
    found = gradient_of(lambda: ops.sum(layer.kernel * g), layer.codebook)
    np.testing.assert_array_equal(found, [1 + 2 + 7, 4 + 6])


def test_sums_of_many_are_kept_in_32_bits():
    """In bfloat16 a sum of ones would stop at 256."""
    layer = dense(1, np.ones((1000, 4), "float32"), dtype="mixed_bfloat16")
    x = np.ones((1, 1000), "float32")
    found = gradient_of(lambda: ops.sum(layer(x)), layer.codebook)
    assert values(layer(x)).dtype == "bfloat16"
    assert found.dtype == "float32" and found[0] == 4000


def test_a_penalty_is_on_the_whole_kernel():
    layer = dense(kernel_regularizer=keras.regularizers.L2(0.5))
    (loss,) = layer.losses
    expected = 0.5 * np.square(values(layer.kernel)).sum()
    assert float(loss) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_can_be_masked(kind):
    """The outputs of the dense layer with that kernel, and a way back."""
    make, shape = KINDS[kind]
    x = np.ones((2, 3), "int32") if shape is None else np.ones(shape, "float32")
    masked = make(sparsity=0.5, seed=0)
    masked(x)
    dense_kind = layers.DENSE_KINDS[type(masked)]
    config = masked.get_config()
    for name in ("sparsity", "granularity", "seed"):
        config.pop(name)
    clustered = layers.CLUSTERED_KINDS[dense_kind].from_config(
        {**config, "bits": 2}
    )
    plain = dense_kind.from_config(config)
    (name,) = clustered.clustered_names
    plain(x), clustered(x)
    clustered.set_kernel(values(getattr(masked, name)), name)
    kernel = values(getattr(clustered, name))
    assert len(np.unique(kernel)) <= 5
    assert ((kernel == 0) == (values(getattr(masked, name)) == 0)).all()
    plain.set_weights([kernel, *plain.get_weights()[1:]])
    np.testing.assert_array_equal(values(clustered(x)), values(plain(x)))
    assert clustered.get_config()["bits"] == 2


def network():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.ClusteredConv2D(6, 3, bits=8, activation="relu"),
            keras.layers.Flatten(),
            layers.ClusteredDense(4, bits=3),
        ]
    )
    generator = np.random.default_rng(0)
    for layer in (model.layers[0], model.layers[2]):
        kernel = generator.normal(size=layer.codes.shape).astype("float32")
        layer.set_kernel(np.where(np.abs(kernel) < 0.7, 0, 0.1 * kernel))
    return model


@pytest.fixture
def images():
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype("float32")
    return x, x.reshape(64, -1)[:, :4]


@pytest.mark.parametrize(
    "policy, jit_compile, steps",
    [("float32", True, 4), ("mixed_bfloat16", False, 1)],
)
def test_trains_saves_and_loads(tmp_path, images, policy, jit_compile, steps):
    if keras.backend.backend() == "jax" and not jit_compile:
        pytest.skip("runs step by step")
    keras.config.set_dtype_policy(policy)
    model = network()
    codes = [values(model.layers[i].codes) for i in (0, 2)]
    assert [c.dtype for c in codes] == ["uint16", "uint8"]
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(
        optimizer, "mse", jit_compile=jit_compile, steps_per_execution=steps
    )
    losses = model.fit(*images, epochs=8, batch_size=16, verbose=0).history[
        "loss"
    ]
    assert losses[-1] < 0.9 * losses[0]
    for layer, before in zip((model.layers[0], model.layers[2]), codes):
        np.testing.assert_array_equal(values(layer.codes), before)
        assert (values(layer.kernel)[before == 0] == 0).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for a, b in zip(model.variables, loaded.variables):
        np.testing.assert_array_equal(values(a), values(b))
    x = images[0]
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_frozen_layers_stay(images):
    model = network()
    model.layers[0].trainable = False
    before = [
        values(layer.kernel) for layer in (model.layers[0], model.layers[2])
    ]
    model.compile("sgd", "mse")
    model.fit(*images, verbose=0)
    np.testing.assert_array_equal(values(model.layers[0].kernel), before[0])
    assert (values(model.layers[2].kernel) != before[1]).any()


@needs_tensorflow
def test_replicas_stay_equal(images):
    """And train as one device does, but for the order of sums."""
    from dsr_tf.training.cluster import Cluster

    results = []
    for name in ("default", "mirrored"):
        with Cluster(name).strategy.scope():
            model = network()
            model.compile(
                keras.optimizers.SGD(0.05, momentum=0.9),
                "mse",
                jit_compile=False,
            )
        model.fit(*images, batch_size=32, shuffle=False, verbose=0)
        results.append([values(v) for v in model.variables])
    for variable in model.variables:
        copies = [values(copy) for copy in variable.value.values]
        np.testing.assert_array_equal(*copies)
    for one, two in zip(*results):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)


@settings(max_examples=30)
@given(st.data(), st.integers(1, 8))
def test_files_hold_every_kernel(data, bits):
    kernel = np.array(
        data.draw(
            st.lists(
                st.sampled_from([0, 0, 0, *range(1, 2**bits + 1)]),
                min_size=1,
                max_size=700,
            )
        ),
        "float32",
    )[:, None]
    layer = layers.ClusteredDense(1, bits=bits)
    layer.build((None, len(kernel)))
    layer.set_kernel(kernel)
    np.testing.assert_array_equal(values(layer.kernel), kernel)
    store = {}
    layer.save_own_variables(store)
    other = layers.ClusteredDense(1, bits=bits)
    other.build((None, len(kernel)))
    other.load_own_variables(store)
    np.testing.assert_array_equal(values(other.kernel), kernel)


def changed(store, **changes):
    return {**store, **{k.replace("_", ".", 1): v for k, v in changes.items()}}


def test_damaged_files_are_refused():
    layer, store = dense(), {}
    layer.save_own_variables(store)
    assert sorted(store) == ["bias", "codebook", "codes.gaps", "codes.packed"]
    before = values(layer.codes)

    def packed(codes):
        return np.frombuffer(sparse_arrays.pack_codes(np.array(codes)), "uint8")

    for changes, message in [
        ({"codes_packed": packed([0, 0, 1, 1, 2])}, "code of number 2"),
        ({"codes_packed": packed([0, 0, 1, 1])}, "4 codes, not 5"),
        ({"codes_packed": packed([0] * 9)}, "more than 5 codes"),
        ({"codes_packed": store["codes.packed"][:-3]}, "incomplete"),
        ({"codes_gaps": store["codes.packed"][::-1]}, "damaged"),
        ({"codes_gaps": packed([7, 7])}, "position 15 of 8"),
        ({"codes_packed": np.zeros(10**6, "uint8")}, "1000000 bytes for 5"),
        ({"other": before}, "stores the variables"),
    ]:
        with pytest.raises(ValueError, match=message):
            layer.load_own_variables(changed(store, **changes))
        np.testing.assert_array_equal(values(layer.codes), before)


def test_bad_arguments():
    for bits in (0, 9, 2.0, True, "6"):
        with pytest.raises(ValueError, match="`bits` must be an integer from"):
            layers.ClusteredDense(3, bits=bits)
    kind = layers.CLUSTERED_KINDS[keras.layers.SeparableConv2D]
    with pytest.raises(ValueError, match="keys depthwise_kernel, pointwise"):
        kind(3, 3, bits={"depthwise_kernel": 2})
    layer = layers.ClusteredDense(3, kernel_constraint="non_neg", name="top")
    with pytest.raises(ValueError, match="'top' .* cannot hold its kernel to"):
        layer.build((None, 2))
    with pytest.raises(ValueError, match="takes no LoRA"):
        dense().enable_lora(2)
    with pytest.raises(ValueError, match="not finite: there are no clusters"):
        dense(kernel=np.array([[1, np.nan, 0, 0]], "float32"))
