"""Penalties and constraints, added to models that have none."""

import re

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.constraints import InTurn
from dsr_tf.constraints import ZeroBelow
from dsr_tf.conversion.weight_arguments import places
from dsr_tf.regularizers import GroupLasso
from dsr_tf.regularizers import Sum
from tests.conftest import gradient_of
from tests.conftest import values


def small_model(**arguments):
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="conv", **arguments)(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    model.compile("sgd", "mse")
    return model


def total(model):
    return sum(float(loss) for loss in model.losses)


def norms(kernel, axes):
    return np.sqrt((values(kernel) ** 2).sum(axis=axes)).sum()


def saved(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def test_a_copy_gets_penalties_by_path(tmp_path):
    model = small_model()
    copy = dsr_tf.regularize(
        model,
        {
            "conv.*/kernel": GroupLasso(0.5, "channel"),
            "gamma": keras.regularizers.L1(0.25),
        },
    )
    assert not model.losses and len(copy.losses) == 2
    kernel = copy.get_layer("conv").kernel
    expected = 0.5 * norms(kernel, (0, 1, 2)) + 0.25 * 4
    np.testing.assert_allclose(total(copy), expected, rtol=1e-6)
    assert copy.get_layer("conv").kernel_regularizer.axes == (3,)
    assert copy.get_layer("head").kernel_regularizer is None
    x = np.ones((2, 6, 6, 3), "float32")
    np.testing.assert_array_equal(model(x), copy(x))
    assert copy.compiled
    assert total(saved(copy, tmp_path)) == total(copy)
    # The penalty is part of the loss that is trained.
    y = np.zeros((2, 2), "float32")
    without = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(
        copy.evaluate(x, y, verbose=0), without + expected, rtol=1e-5
    )


def test_what_is_there_is_kept():
    model = small_model(kernel_regularizer="l2", kernel_constraint="non_neg")
    before = total(model)
    once = dsr_tf.regularize(
        model, {"conv/kernel": "l1"}, {"conv/k": ZeroBelow(0.1)}
    )
    twice = dsr_tf.regularize(
        once,
        {"kernel": GroupLasso(0.5, "layer"), "conv/kernel": "l1"},
        {"conv/kernel": keras.constraints.MaxNorm(2)},
    )
    kernel = values(model.get_layer("conv").kernel)
    penalty = twice.get_layer("conv").kernel_regularizer
    assert isinstance(penalty, Sum) and len(penalty.regularizers) == 4
    np.testing.assert_allclose(
        total(twice),
        before
        + 2 * 0.01 * np.abs(kernel).sum()
        + 0.5 * np.sqrt((kernel**2).sum())
        + 0.5 * norms(model.get_layer("head").kernel, None),
        rtol=1e-6,
    )
    constraint = twice.get_layer("conv").kernel_constraint
    assert isinstance(constraint, InTurn) and [
        type(c).__name__ for c in constraint.constraints
    ] == ["NonNeg", "ZeroBelow", "MaxNorm"]
    assert twice.get_layer("conv").kernel.constraint is constraint


def test_in_place(tmp_path):
    model = small_model()
    x, y = np.ones((4, 6, 6, 3)), np.zeros((4, 2))
    model.fit(x, y, verbose=0)
    optimizer = model.optimizer
    same = dsr_tf.regularize(model, {"head/": "l1"}, inplace=True)
    assert same is model and model.optimizer is optimizer
    assert len(model.losses) == 2
    # A step that was compiled before would know nothing of it.
    before = total(model)
    for _ in range(3):
        model.fit(x, y, verbose=0)
    assert total(model) < before
    assert total(saved(model, tmp_path)) == total(model)


def awkward_model():
    """Kernels whose axes stand for something else than usual."""
    layers = keras.layers
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2DTranspose(5, 3, name="transposed")(inputs)
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")
    x = layers.SpectralNormalization(depthwise, name="normalized")(x)
    x = layers.SeparableConv2D(4, 3, name="separable")(x)
    x = layers.Reshape((16, 4))(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="bi")(
        x
    )
    x = layers.TimeDistributed(layers.Dense(4, name="dense"), name="time")(x)
    x = layers.EinsumDense("abx,xhd->abhd", (None, 2, 3), name="einsum")(x)
    x = layers.Reshape((16, 6))(x)
    inner = keras.Sequential(
        [keras.Input((16, 6)), layers.RNN(layers.GRUCell(3, name="cell"))],
        name="inner",
    )
    return keras.Model(inputs, inner(x))


# Over which axes the norms of outputs and of inputs are.
AXES = {
    "transposed/kernel": ((0, 1, 3), (0, 1, 2)),
    "normalized/depthwise/kernel": ((0, 1), (0, 1, 3)),
    "separable/depthwise_kernel": ((0, 1), (0, 1, 3)),
    "separable/pointwise_kernel": ((0, 1, 2), (0, 1, 3)),
    "bi/forward.*/kernel": (0, 1),
    "bi/backward.*/recurrent_kernel": (0, 1),
    "time/dense/kernel": (0, 1),
    "einsum/kernel": ((0, 1), (1, 2)),
    "inner/.*cell/kernel": (0, 1),
}


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("which, granularity", enumerate(["channel", "input"]))
def test_groups_are_those_of_the_layer(which, granularity, is_sparse, tmp_path):
    model = awkward_model()
    if is_sparse:
        model = dsr_tf.sparsify(model, 0.5, seed=0)
    names = [f"^{name}$" for name in AXES]
    lasso = GroupLasso(0.5, granularity)
    model = dsr_tf.regularize(model, dict.fromkeys(names, lasso))
    expected = []
    for name, axes in zip(names, AXES.values()):
        [kernel] = [
            place.variable
            for place in places(model)
            if re.search(name, place.path)
        ]
        expected.append(0.5 * norms(kernel, axes[which]))
    assert len(model.losses) == len(AXES)
    np.testing.assert_allclose(total(model), sum(expected), rtol=1e-5)
    assert total(saved(model, tmp_path)) == total(model)
    if is_sparse:
        dense = dsr_tf.strip(model)
        np.testing.assert_allclose(total(dense), sum(expected), rtol=1e-5)


def test_dense_models_with_penalties_become_sparse():
    model = dsr_tf.regularize(
        small_model(), {"conv/kernel": GroupLasso(0.5, "channel")}
    )
    sparse = dsr_tf.sparsify(model, 0.5, filters="conv", seed=0)
    again = dsr_tf.regularize(sparse, {"conv/kernel": "l1"})
    assert again.skipped_layers == sparse.skipped_layers != {}
    [weight] = dsr_tf.masked_weights(again)
    np.testing.assert_array_equal(
        values(weight.mask), values(dsr_tf.masked_weights(sparse)[0].mask)
    )
    kernel = values(weight.kernel)
    expected = 0.5 * norms(kernel, (0, 1, 2)) + 0.01 * np.abs(kernel).sum()
    np.testing.assert_allclose(total(again), expected, rtol=1e-6)
    # What is stored where weights are inactive is of no account.
    weight.kernel.assign(np.where(values(weight.mask), kernel, 7))
    np.testing.assert_allclose(total(again), expected, rtol=1e-6)
    gradient = gradient_of(lambda: sum(again.losses), weight.kernel)
    np.testing.assert_array_equal(gradient != 0, values(weight.mask))


def test_a_narrow_model_has_the_penalties_of_a_masked_one():
    lasso = GroupLasso(0.5, "channel") + GroupLasso(0.1, "shape")
    model = dsr_tf.regularize(
        small_model(), {"kernel": lasso, "gamma": "l1"}, {"k": ZeroBelow(0.1)}
    )
    keep = {"conv": np.array([True, False, True, True])}
    narrow = dsr_tf.structure.narrow(model, keep)
    assert narrow.get_layer("conv").kernel.shape == (3, 3, 3, 3)
    masked = dsr_tf.structure.mask(model, keep)
    np.testing.assert_allclose(total(narrow), total(masked), rtol=1e-6)
    assert narrow.get_layer("conv").kernel.constraint.threshold == 0.1


def test_frozen_weights_are_penalized_once_they_train():
    model = small_model()
    model.get_layer("conv").trainable = False
    copy = dsr_tf.regularize(model, {"conv/kernel": "l1"})
    assert not copy.losses
    copy.get_layer("conv").trainable = True
    assert total(copy) > 0


@keras.saving.register_keras_serializable("dsr_tf tests")
class Scaled(keras.layers.Layer):
    """One that says nothing of a penalty."""

    def build(self, shape):
        self.scales = self.add_weight(name="scales", shape=shape[-1:])

    def call(self, x):
        return x * self.scales


@keras.saving.register_keras_serializable("dsr_tf tests")
class Factors(Scaled):
    """One that takes what Keras' layers take."""

    def __init__(self, scales_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.scales_regularizer = keras.regularizers.get(scales_regularizer)

    def build(self, shape):
        self.scales = self.add_weight(
            name="scales",
            shape=(2, shape[-1]),
            regularizer=self.scales_regularizer,
        )

    def call(self, x):
        return x * self.scales[0]

    def get_config(self):
        return {
            **super().get_config(),
            "scales_regularizer": keras.regularizers.serialize(
                self.scales_regularizer
            ),
        }


def model_of(*layers):
    return keras.Sequential([keras.Input((4,)), *layers], name="net")


def test_a_layer_of_ones_own(tmp_path):
    model = model_of(Factors(name="own"))
    copy = dsr_tf.regularize(model, {"own": "l1"})
    assert total(saved(copy, tmp_path)) == total(copy) > 0
    channels = {"own": GroupLasso(1, "channel", axes=(1,))}
    np.testing.assert_allclose(
        total(dsr_tf.regularize(model, channels)),
        norms(model.layers[0].scales, 0),
        rtol=1e-6,
    )
    with pytest.raises(
        ValueError, match="'own/scales' cannot get the.*as `axes`"
    ):
        dsr_tf.regularize(model, {"own": GroupLasso(1, "channel")})
