import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import values


def small():
    """Convolution, normalization, a shared layer and a nested model."""
    inner = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(6, name="deep")], name="inner"
    )
    shared = keras.layers.Dense(6, name="shared")
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.LayerNormalization(name="scale")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = inner(shared(shared(x)))
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")


def test_the_sparse_twin():
    model = small()
    weights = [w.copy() for w in model.get_weights()]
    sparse = dsr_tf.sparsify(model, 0.75, seed=0)
    found = dsr_tf.masked_weights(sparse)
    assert [type(w.layer).__name__ for w in found] == [
        "SparseConv2D",
        "SparseDense",
        "SparseDense",
        "SparseDense",
    ]
    total = 162 + 36 + 36 + 18
    assert sum(w.size for w in found) == total
    assert sum(w.num_active for w in found) == round(0.25 * total)
    assert_zero_outside_masks(sparse)
    for old, new in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert dict(sparse.skipped_layers) == {
        "norm": "there is no masked kind of BatchNormalization",
        "scale": "there is no masked kind of LayerNormalization",
    }


def test_at_sparsity_0_nothing_changes():
    model = small()
    sparse = dsr_tf.sparsify(model, 0)
    np.testing.assert_array_equal(values(model(IMAGES)), values(sparse(IMAGES)))


def test_it_trains():
    sparse = dsr_tf.sparsify(small(), 0.5, seed=0)
    sparse.compile("adam", "mse")
    records = []
    callback = dsr_tf.callbacks.DynamicSparseReparameterization(
        20, period=2, listener=records.append
    )
    targets = np.zeros((4, 3))
    sparse.fit(IMAGES, targets, 1, 3, verbose=0, callbacks=[callback])
    assert len(records) == 5
    assert {r.num_active for r in records} == {126}


@pytest.mark.parametrize(
    "filters, names",
    [
        ("d", ["shared", "deep", "head"]),
        (["^conv$", "^head$"], ["conv", "head"]),
        (lambda layer: layer.name != "shared", ["conv", "deep", "head"]),
    ],
)
def test_filters(filters, names):
    sparse = dsr_tf.sparsify(small(), 0.5, filters=filters)
    found = [w.layer.name for w in dsr_tf.masked_weights(sparse)]
    assert sorted(found) == sorted(names)
    assert set(sparse.skipped_layers.values()) >= {"the filters leave it out"}


def many_layers(number=12):
    model = keras.Sequential([keras.Input((4,))], name="deep")
    for index in range(number):
        model.add(keras.layers.Dense(4, name=f"fc{index}"))
    return model


def test_refusals_of_deep_models_name_few_layers():
    left_out = "the filters leave it out"
    expected = (
        f"Model 'deep' has no layer to mask; fc0: {left_out}; fc1: {left_out}; "
        f"fc2: {left_out}; and 9 more. Received: filters='nope'"
    )
    with pytest.raises(ValueError) as error:
        dsr_tf.sparsify(many_layers(), 0.5, filters="nope")
    assert str(error.value) == expected
    with pytest.raises(ValueError, match=r"to tie; fc0: .* 9 more\. R"):
        dsr_tf.tie(many_layers(), 0.5, filters="nope")
    sparse = dsr_tf.sparsify(many_layers(), 0.5)
    with pytest.raises(ValueError) as error:
        dsr_tf.sparsify(sparse, 0.5)
    assert "fc2: it is masked already; and 9 more" in str(error.value)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("inplace", [False, True])
def test_one_of_several_filters_that_finds_nothing_is_refused(inplace):
    model = many_layers()
    before = list(model.layers)
    found = (
        r"`filters` has 'fcc3', which is found in the path of no layer\. "
        r"Accepted are parts of .*fc0, fc1.*, and \d+ more"
    )
    with pytest.raises(ValueError, match=found):
        dsr_tf.sparsify(model, 0.5, filters=["fc1", "fcc3"], inplace=inplace)
    assert model.layers == before and not dsr_tf.masked_weights(model)
    with pytest.raises(ValueError, match=found):
        dsr_tf.tie(model, 0.5, filters=iter(["fc1", "fcc3"]))
    with pytest.raises(ValueError, match=found):
        dsr_tf.cluster(model, 3, filters=["fc1", "fcc3"])
    masked = dsr_tf.sparsify(model, 0.5)
    with pytest.raises(ValueError, match=found):
        dsr_tf.with_storage(masked, "lists", filters=["fc1", "fcc3"])


def test_the_name_of_the_model_is_in_no_path():
    with pytest.raises(ValueError, match="'deep', which is found in the path"):
        dsr_tf.sparsify(many_layers(), 0.5, filters=["deep", "fc1"])


def test_what_is_left_dense_is_logged_in_short(caplog):
    with caplog.at_level("INFO", logger="absl"):
        sparse = dsr_tf.sparsify(many_layers(), 0.5, filters="fc11")
    (message,) = (
        r.message for r in caplog.records if "left these" in r.message
    )
    assert "fc2 (the filters leave it out); and 8 more (all are" in message
    assert len(sparse.skipped_layers) == 11
    with pytest.raises(ValueError, match="; fc3: the filters leave it out. R"):
        dsr_tf.sparsify(many_layers(4), 0.5, filters="nope")


def test_masks_of_other_kernels_are_refused_in_short():
    model = many_layers()
    first = dsr_tf.sparsify(model, 0.5, filters="fc1")
    second = dsr_tf.sparsify(model, 0.5, granularity="channel")
    with pytest.raises(ValueError) as error:
        dsr_tf.conversion.copy_masks(first, second)
    message = str(error.value)
    assert message.endswith(
        "Received: masks of fc0/kernel: no mask for (1, 4); fc1/kernel: (4, 4) "
        "for (1, 4); fc2/kernel: no mask for (1, 4); and 9 more"
    )


def test_magnitude_keeps_the_largest_of_each_kernel():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, use_bias=False)]
    )
    kernel = np.arange(12.0).reshape(4, 3) - 5.4
    model.layers[0].set_weights([kernel])
    sparse = dsr_tf.sparsify(model, 2 / 3, mask="magnitude")
    (weight,) = dsr_tf.masked_weights(sparse)
    # -5.4, -4.4, 4.6 and 5.6 are the largest four.
    assert weight.num_active == 4
    expected = np.where(np.abs(kernel) > 4, kernel, 0)
    np.testing.assert_allclose(values(weight.kernel), expected, rtol=1e-6)


def test_seeds_and_distinct_masks():
    model = keras.Sequential(
        [keras.Input((9,)), keras.layers.Dense(9), keras.layers.Dense(9)]
    )

    def masks(seed):
        sparse = dsr_tf.sparsify(model, 0.5, seed=seed)
        return [values(w.mask) for w in dsr_tf.masked_weights(sparse)]

    first, second = masks(1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(masks(1), [first, second])
    assert not np.array_equal(masks(2), [first, second])


def test_strip_computes_the_same():
    sparse = dsr_tf.sparsify(small(), 0.6, seed=0)
    dense = dsr_tf.strip(sparse)
    np.testing.assert_array_equal(values(sparse(IMAGES)), values(dense(IMAGES)))
    assert not any(
        isinstance(layer, layers.Masked) for layer in dense._flatten_layers()
    )


def test_layers_that_are_masked_already_keep_their_masks():
    once = dsr_tf.sparsify(small(), 0.6, filters="conv", seed=0)
    twice = dsr_tf.sparsify(once, 0.5, seed=1)
    first, second = (dsr_tf.masked_weights(m) for m in (once, twice))
    assert [len(first), len(second)] == [1, 4]
    np.testing.assert_array_equal(
        values(first[0].kernel), values(second[0].kernel)
    )
    np.testing.assert_array_equal(values(first[0].mask), values(second[0].mask))
    assert sum(w.num_active for w in second[1:]) == 45
    assert twice.skipped_layers["conv"] == "it is masked already"


def test_resnet50_of_keras_applications():
    model = keras.applications.ResNet50(weights=None)
    sparse = dsr_tf.sparsify(model, 0.9, seed=0)
    summary = dsr_tf.sparsity_summary(sparse)
    assert len(summary.layers) == 54
    assert summary.num_active == round(0.1 * summary.num_masked)
    assert summary.mask_density == pytest.approx(0.1, abs=1e-7)
    assert 0.1 < summary.model_density < 0.11
    text = str(summary)
    assert "masked kernels" in text and "0.1000" in text
    assert "all parameters" in text and f"{summary.num_parameters:,}" in text
    x = np.random.default_rng(0).random((1, 224, 224, 3), "float32")
    assert np.isfinite(values(sparse(x))).all()


def test_depthwise_networks():
    model = keras.applications.MobileNetV2((32, 32, 3), weights=None)
    sparse = dsr_tf.sparsify(model, 0.8, seed=0)
    kinds = {type(w.layer).__name__ for w in dsr_tf.masked_weights(sparse)}
    assert kinds == {"SparseConv2D", "SparseDepthwiseConv2D", "SparseDense"}


def test_summary_by_hand():
    summary = dsr_tf.sparsity_summary(make_model(sparsity=0.7))
    values = summary.to_dict()
    assert [layer["num_active"] for layer in values["layers"]] == [72, 18]
    assert values["num_masked"] == 300 and values["num_active"] == 90
    assert values["num_parameters"] == 323
    assert values["num_active_parameters"] == 113
    assert values["mask_density"] == 0.3
    assert values["model_density"] == 113 / 323


def test_summary_of_frozen_and_dense_models():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.trainable = False
    summary = dsr_tf.sparsity_summary(model)
    assert (summary.num_parameters, summary.mask_density) == (15, 1.0)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize(
    "model, arguments, error, message",
    [
        (small, {"sparsity": 1}, ValueError, "Received: sparsity=1"),
        (small, {"sparsity": "a"}, ValueError, "Received: sparsity='a'"),
        (small, {"distribution": "x"}, ValueError, "distribution='x'"),
        (small, {"granularity": "x"}, ValueError, "granularity='x'"),
        (small, {"mask": "x"}, ValueError, "mask='x'"),
        (small, {"seed": -1}, ValueError, "seed=-1"),
        (small, {"filters": "("}, ValueError, r"filters='\('"),
        (small, {"filters": 3}, ValueError, "filters=3"),
        (small, {"filters": "none"}, ValueError, "no layer to mask.*norm"),
        (small, {"sparsity": 0.995}, ValueError, "budget of 1 active"),
        (Subclassed, {}, ValueError, "not built"),
        (lambda: "model", {}, TypeError, "takes a Keras model"),
        (
            lambda: keras.Sequential([keras.layers.Dense(2)]),
            {},
            ValueError,
            "not built",
        ),
    ],
)
def test_bad_input(model, arguments, error, message):
    with pytest.raises(error, match=message):
        dsr_tf.sparsify(model(), **{"sparsity": 0.5, **arguments})


def test_a_summary_of_no_model():
    with pytest.raises(TypeError, match="takes a Keras model. Received"):
        dsr_tf.sparsity_summary("model.keras")


def test_nothing_to_strip():
    with pytest.raises(ValueError, match="nothing to strip"):
        dsr_tf.strip(small())


def test_rescaled_signals_are_as_strong_as_those_of_all_weights():
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(256, "relu") for _ in range(4)]
    model = keras.Sequential([keras.Input((256,)), *hidden])
    x = np.random.default_rng(0).normal(size=(64, 256)).astype("float32")
    dense = np.std(values(model(x)))
    faded = np.std(values(dsr_tf.sparsify(model, 0.9, seed=0)(x)))
    sparse = dsr_tf.sparsify(model, 0.9, seed=0, rescale=True)
    assert faded < dense / 50
    assert dense / 2 < np.std(values(sparse(x))) < dense * 2
    assert_zero_outside_masks(sparse)
    twin = dsr_tf.sparsify(model, 0.0, rescale=True)
    np.testing.assert_array_equal(values(twin(x)), values(model(x)))
