"""Scales are put in, and folded away, and outputs stay."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from dsr_tf import cluster
from dsr_tf import sparsify
from dsr_tf import structure
from dsr_tf import tie
from dsr_tf.layers import Scale
from tests.structure import networks
from tests.structure.networks import assert_equal_outputs
from tests.structure.networks import inputs_of
from tests.structure.networks import shake


def scales_of(model):
    return [x for x in model._flatten_layers() if isinstance(x, Scale)]


def draw(model, least=0.0):
    generator = np.random.default_rng(0)
    for layer in scales_of(model):
        values = generator.uniform(least, 2, layer.scale.shape)
        layer.scale.assign(values)


def check(model, where, tolerance=1e-6, least=0.0):
    """Put scales in and fold them; returns the scaled model."""
    shake(model)
    scaled = structure.insert_scales(model, where)
    inputs = inputs_of(model)
    assert_equal_outputs(model, scaled, inputs, 0)
    draw(scaled, least)
    folded = structure.fold_scales(scaled)
    assert_equal_outputs(scaled, folded, inputs, tolerance)
    assert not scales_of(folded) and scales_of(scaled)
    assert [(v.name, v.shape) for v in folded.trainable_variables] == [
        (v.name, v.shape) for v in model.trainable_variables
    ]
    assert folded.count_params() == model.count_params()
    return scaled


def test_a_branch_by_hand():
    inputs = keras.Input((2,))
    y = layers.Dense(2, name="branch", bias_initializer="ones")(inputs)
    model = keras.Model(inputs, layers.Add()([inputs, y]))
    scaled = structure.insert_scales(model)
    (scale,) = scales_of(scaled)
    assert scale.name == "branch_scale"
    assert scale.scale.path == "branch_scale/scale"
    scale.scale.assign([0.5])
    kernel = np.array(model.layers[1].kernel)
    folded = structure.fold_scales(scaled).get_layer("branch")
    np.testing.assert_array_equal(folded.kernel, kernel / 2)
    np.testing.assert_array_equal(folded.bias, [0.5, 0.5])


def test_channels():
    model = check(networks.residual(), "channels")
    assert [x.name for x in scales_of(model)] == ["bn0b_scale", "bn1b_scale"]


def relu_network():
    """Activations of layers, dropout, and what is transposed."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    y = layers.SeparableConv2D(4, 1, name="separable")(x)
    y = ops.relu(y)
    y = layers.Dropout(0.5)(y)
    x = x + y
    x = layers.Conv2DTranspose(5, 2, name="transposed")(x)
    x = layers.BatchNormalization(center=False, name="bn")(x)
    x = layers.Activation("relu")(x)
    x = layers.Conv2D(3, 1, activation="sigmoid", name="sigmoid")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def first_in_groups():
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 3, groups=4, name="grouped")(inputs)
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


def test_what_holds_factors():
    model = check(relu_network(), "channels")
    # A sigmoid lets no factor through; others add to the stream.
    assert [x.name for x in scales_of(model)] == ["bn_scale"]
    model = check(relu_network(), "branches")
    assert len(scales_of(model)) == 1
    # It reads the inputs of the network, which stay.
    with pytest.raises(ValueError, match="has no groups to scale"):
        structure.insert_scales(first_in_groups(), "groups")
    model = check(networks.grouped(), "groups")
    assert [x.num_scales for x in scales_of(model)] == [4]


def test_a_sequential_model():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, "relu", name="a"),
            layers.Dense(5, use_bias=False, name="b"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(3, name="c"),
        ]
    )
    assert len(scales_of(check(model, "channels"))) == 2


def test_models_inside_of_models():
    def block():
        inputs = keras.Input((4,))
        y = layers.Dense(3, "relu", name="inner")(inputs)
        y = layers.Dense(4, name="outer")(y)
        return keras.Model(inputs, layers.Add()([inputs, y]), name="block")

    model = keras.Sequential([keras.Input((4,)), block(), layers.Dense(2)])
    scaled = check(model, "branches")
    assert [x.name for x in scales_of(scaled)] == ["outer_scale"]


def test_masks_stay():
    model = sparsify(networks.residual(), 0.5, seed=0)
    scaled = check(model, "branches")
    folded = structure.fold_scales(scaled)
    for ours, theirs in zip(
        model.get_layer("conv0a").variables,
        folded.get_layer("conv0a").variables,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file(tmp_path):
    scaled = structure.insert_scales(networks.residual())
    draw(scaled)
    scaled.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    inputs = inputs_of(scaled)
    assert_equal_outputs(scaled, copy, inputs, 0)
    assert_equal_outputs(scaled, structure.fold_scales(copy), inputs)


def test_scales_below_0():
    scaled = check(networks.residual(), "branches", least=-2)
    assert any(float(x.scale[0]) < 0 for x in scales_of(scaled))
    scaled = structure.insert_scales(relu_network())
    scales_of(scaled)[0].scale.assign([-1])
    with pytest.raises(ValueError, match="cannot be folded: .*Relu"):
        structure.fold_scales(scaled)


def test_what_cannot_be():
    inputs = keras.Input((4,))
    chain = keras.Model(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="has no branches to scale"):
        structure.insert_scales(chain)
    with pytest.raises(ValueError, match="has no groups to scale"):
        structure.insert_scales(chain, "groups")
    # What makes these channels is inside of layers.
    for build in (networks.recurrent, networks.convolutional_recurrent):
        with pytest.raises(ValueError, match="does not put out one tensor"):
            structure.insert_scales(build(), "channels")
    with pytest.raises(ValueError, match="Received: where='blocks'"):
        structure.insert_scales(chain, "blocks")
    y = layers.LayerNormalization(name="norm")(layers.Dense(4)(inputs))
    model = keras.Model(inputs, layers.Add()([inputs, y]))
    with pytest.raises(ValueError, match="'norm' .LayerNorm.* holds no factor"):
        structure.insert_scales(model)
    y = layers.Dense(4, name="read_twice")(inputs)
    total = layers.Add()([inputs, y])
    reading = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    for other in (y, reading(y)):
        model = keras.Model(inputs, [total, other])
        with pytest.raises(ValueError, match="others read what is to be"):
            structure.insert_scales(model)
    scaled = keras.Model(inputs, layers.Dense(2)(Scale()(inputs)))
    with pytest.raises(ValueError, match="cannot be folded: it is not a layer"):
        structure.fold_scales(scaled)


def test_what_shares_weights_holds_no_factor():
    # A factor for what comes out would be one for a weight of all channels.
    for share in (lambda x: cluster(x, 3), lambda x: tie(x, 0.5, seed=0)):
        inputs = keras.Input((4,))
        y = layers.Dense(4, name="shared")(inputs)
        model = share(keras.Model(inputs, layers.Add()([inputs, y])))
        with pytest.raises(ValueError, match="'shared' .* holds no factor"):
            structure.insert_scales(model)
        y = Scale()(model.get_layer("shared")(inputs))
        with pytest.raises(ValueError, match="'shared' .* holds no factor"):
            structure.fold_scales(keras.Model(inputs, y))


@pytest.mark.parametrize(
    "before", [layers.Dense(4), layers.BatchNormalization(axis=-1)]
)
def test_factors_along_another_axis(before):
    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, Scale(None, axis=1)(before(inputs)))
    with pytest.raises(ValueError, match="lie along axis 1, and the channels"):
        structure.fold_scales(model)
    model = keras.Model(inputs, Scale(None, axis=2)(before(inputs)))
    draw(model)
    folded = structure.fold_scales(model)
    assert_equal_outputs(model, folded, inputs_of(model))


def test_nothing_to_fold():
    model = shake(networks.residual())
    copy = structure.fold_scales(model)
    assert copy is not model
    assert_equal_outputs(model, copy, inputs_of(model), 0)
