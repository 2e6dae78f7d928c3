import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf.layers.masked_variable import exporting
from tests.conftest import gradient_of
from tests.conftest import values
from tests.layers.kinds import built
from tests.layers.kinds import kernel_of
from tests.layers.kinds import values_beside


def test_exact_count_and_zeros(kind):
    layer = built(*kind, sparsity=0.6, seed=5)
    (weight,) = layers.masked_weights(layer)
    mask, kernel = values(weight.mask), values(weight.kernel)
    assert mask.dtype == bool and mask.itemsize == 1
    assert mask.sum() == weight.num_active == round(0.4 * weight.size)
    assert not kernel[~mask].any()
    assert kernel[mask].all()


def test_seeds(kind):
    make, x = kind

    def mask(**k):
        return values(built(make, x, sparsity=0.5, **k).mask)

    assert np.array_equal(mask(seed=3), mask(seed=3))
    assert not np.array_equal(mask(seed=3), mask(seed=4))
    assert not np.array_equal(mask(), mask())


def test_output_is_keras_own_on_the_masked_kernel(kind):
    """Whatever the stored values outside of the mask may be."""
    make, x = kind
    layer = built(make, x, sparsity=0.5, seed=1)
    masked = values(kernel_of(layer))
    dense_kind = {m: d for d, m in layers.MASKED_KINDS.items()}[type(layer)]
    config = layer.get_config()
    for name in ("sparsity", "granularity", "seed"):
        config.pop(name)
    dense = dense_kind.from_config(config)
    dense(x)
    dense.set_weights([masked, *values_beside(layer)])
    kernel_of(layer).assign(np.where(values(layer.mask), masked, np.float32(9)))
    np.testing.assert_array_equal(values(layer(x)), values(dense(x)))


def test_gradient_is_zero_outside_the_mask(kind):
    make, x = kind
    layer = built(make, x, sparsity=0.5, seed=1)
    gradient = gradient_of(
        lambda: keras.ops.sum(layer(x) ** 2), kernel_of(layer)
    )
    mask = values(layer.mask)
    assert not gradient[~mask].any()
    assert gradient[mask].any()


def test_serving_reads_the_stored_kernel(kind):
    make, x = kind
    layer = built(make, x, sparsity=0.5, seed=1)
    before = values(layer(x))
    layer.mask.assign(np.zeros(layer.mask.shape, "bool"))
    with exporting():
        np.testing.assert_array_equal(values(layer(x)), before)
    assert not np.array_equal(values(layer(x)), before)


def test_masked_weights_finds_each_once_and_inside_of_others():
    shared = layers.SparseDense(5, 0.5, name="shared")
    inner = keras.Sequential([keras.Input((5,)), layers.SparseDense(3, 0.5)])
    inputs = keras.Input((5,))
    model = keras.Model(inputs, inner(shared(shared(inputs))))
    found = layers.masked_weights(model)
    assert [w.size for w in found] == [25, 15]
    assert found[0].path == "shared/kernel"
    timed = keras.Sequential(
        [
            keras.Input((4, 5)),
            keras.layers.TimeDistributed(layers.SparseDense(3, 0.5)),
        ]
    )
    assert [w.num_active for w in layers.masked_weights(timed)] == [8]


def test_an_unbuilt_model_is_refused():
    model = keras.Sequential([layers.SparseDense(5, 0.5)])
    with pytest.raises(ValueError, match="not built yet"):
        layers.masked_weights(model)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sparsity": 1.0}, r"sparsity.*\[0, 1\).*Received: sparsity=1.0"),
        ({"sparsity": -0.1}, "Received: sparsity=-0.1"),
        ({"granularity": "row"}, "one of element.*granularity='row'"),
        ({"seed": -3}, "Received: seed=-3"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.SparseDense(**{"units": 3, **arguments})


def test_units_are_refused_as_keras_refuses_them():
    try:
        keras.layers.Dense(0)
    except ValueError:
        with pytest.raises(ValueError, match="Received: units=0"):
            layers.SparseDense(0)
    else:
        # Keras 3.12 takes any number.
        assert keras.version().startswith("3.12.")
        assert layers.SparseDense(0).units == 0


def test_penalties_are_of_active_weights_only():
    # One that does not leave zeros alone.
    def distance_from_one(kernel):
        return keras.ops.sum(keras.ops.abs(kernel - 1.0))

    layer = layers.SparseDense(
        5, 0.5, seed=0, kernel_regularizer=distance_from_one
    )
    layer.build((None, 8))
    penalty = layer.masked_variables["kernel"].kernel.regularizer
    assert isinstance(penalty, keras.regularizers.Regularizer)
    [weight] = layers.masked_weights(keras.Sequential([layer]))
    # What is stored where weights are inactive is of no account.
    weight.kernel.assign(np.full((8, 5), 3.0))
    assert float(layer.losses[0]) == 20 * 2 + 20 * 1
    assert layer.kernel_regularizer is distance_from_one


@pytest.mark.parametrize("given", ["l2", keras.regularizers.L1(0.25)])
def test_a_layer_keeps_the_penalty_that_it_was_given(given):
    layer = layers.SparseDense(5, 0.5, seed=0, kernel_regularizer=given)
    layer.build((None, 8))
    kept = layer.get_config()["kernel_regularizer"]
    same = keras.layers.Dense(5, kernel_regularizer=given).get_config()
    assert kept == same["kernel_regularizer"]
    copy = layers.SparseDense.from_config(layer.get_config())
    copy.build((None, 8))
    copy.set_weights(layer.get_weights())
    assert float(copy.losses[0]) == float(layer.losses[0]) > 0


def test_embedding_refuses_weights():
    with pytest.raises(ValueError, match="takes no `weights`"):
        layers.SparseEmbedding(3, 2, weights=np.zeros((3, 2)))
