"""Rules of layers, for all that these layers can be asked to do."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from dsr_tf import structure
from tests.structure import networks


def between(*steps, shape=(4,), width=6):
    """A model of layers or functions between two Dense layers."""
    inputs = keras.Input(shape)
    x = layers.Dense(width, name="first")(inputs)
    for step in steps:
        x = step(x)
    return keras.Model(inputs, layers.Dense(2, name="last")(x))


def sizes_of(model):
    """Narrow and check a model; its sets' numbers of units by name."""
    found, _, _ = networks.check_narrow(model)
    return {x.name: x.num_units for x in found.sets}


@pytest.mark.parametrize(
    "activation",
    ["softmax", layers.Softmax(), ops.sort, ops.flip],
)
def test_activations_that_are_not_elementwise(activation):
    model = between(layers.Dense(6, activation=activation, name="x"))
    assert sizes_of(model) == {"first": 6}
    assert structure.Structure(model).fixed == {
        "x": "its activation mixes channels"
    }
    model = between(layers.Activation(activation, name="x"))
    assert structure.Structure(model).fixed == {"x": "it mixes channels"}


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv1D(6, 2, activation="softmax", name="x"),
        layers.Conv1DTranspose(6, 2, activation="softmax", name="x"),
        layers.DepthwiseConv1D(2, activation="softmax", name="x"),
        layers.SeparableConv1D(6, 2, activation="softmax", name="x"),
        layers.EinsumDense(
            "abc,cd->abd", (None, 6), activation="softmax", name="x"
        ),
        layers.TimeDistributed(layers.Dense(6, "softmax"), name="x"),
        layers.LSTM(6, "softmax", return_sequences=True, name="x"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_whose_activation_mixes_are_named(layer):
    model = between(layer, shape=(5, 4))
    assert "x" not in sizes_of(model)
    assert structure.Structure(model).fixed == {
        "x": "its activation mixes channels"
    }


def test_an_activation_without_channels_to_fix_is_not_named():
    inputs = keras.Input((5, 4))
    x = layers.DepthwiseConv1D(2, activation="softmax")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert structure.Structure(model).fixed == {}


CLASSES = layers.Dense(2, "softmax", name="classes")


@pytest.mark.parametrize(
    "ends",
    [
        [CLASSES],
        [CLASSES, layers.Activation("linear", dtype="float32")],
        [CLASSES, layers.Dropout(0.5)],
        [keras.Sequential([keras.Input((6,)), CLASSES])],
    ],
    ids=["themselves", "cast", "dropped", "of a model inside"],
)
def test_the_classes_of_a_model_stay_anyway(ends):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(6, name="first"), *ends]
    )
    assert structure.Structure(model).fixed == {}


@pytest.mark.parametrize(
    "activation", ["mish", "linear", "relu6", ops.hard_tanh, layers.ReLU()]
)
def test_activations_that_are_elementwise(activation):
    model = between(layers.Dense(5, activation=activation, name="x"))
    assert sizes_of(model) == {"first": 6, "x": 5}


def test_masks_of_time_steps():
    """Keras hands them on as arguments of layers."""
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5, 6, mask_zero=True, name="embedding")(inputs)
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x)
    x = layers.MultiHeadAttention(3, 2, name="attention")(x, x)
    x = layers.TimeDistributed(layers.Dense(4), name="steps")(x)
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(2, name="last")(x))
    assert list(sizes_of(model).values()) == [6, 5, 3, 4]


def test_a_mask_is_not_cut():
    inputs = keras.Input((5, 4))
    x = layers.Dense(6, name="first")(inputs)
    mask = layers.Dense(5, "sigmoid", name="mask")(inputs)
    x = layers.MultiHeadAttention(3, 2, name="attention")(
        x, x, attention_mask=mask
    )
    model = keras.Model(inputs, layers.Dense(2, name="last")(x))
    assert sizes_of(model) == {"first": 6, "attention/query": 3}


@pytest.mark.parametrize(
    "attention",
    [layers.MultiHeadAttention(4, 2), layers.GroupQueryAttention(2, 4, 2)],
)
def test_scores_of_attention(attention):
    inputs = keras.Input((5, 4))
    x = layers.Dense(6, name="first")(inputs)
    x, scores = attention(x, x, return_attention_scores=True)
    scores = layers.Dense(3)(layers.Flatten()(scores))
    model = keras.Model(inputs, [layers.Dense(2)(x), scores])
    found, _, _ = networks.check_narrow(model)
    (heads,) = (x for x in found.sets if x.kind == "heads")
    # The scores have heads in front of queries and keys.
    assert [x.positions.shape for x in heads.with_role("in")][-1][1] > 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.clip(x, np.zeros(6, "float32"), 3.0),
        # The channels before the time steps.
        lambda x: layers.Permute((2, 1))(
            layers.Permute((2, 1))(x) * np.ones((6, 1), "float32")
        ),
    ],
)
def test_constants_with_a_number_for_each_channel(function):
    model = between(function, shape=(5, 4))
    assert sizes_of(model) == {}
    found = structure.Structure(model)
    assert "it has a number for each channel" in found.fixed.values()


def test_constants_with_a_number_for_each_place():
    model = between(lambda x: x * np.ones((5, 1), "float32"), shape=(5, 4))
    assert sizes_of(model) == {"first": 6}


@pytest.mark.parametrize("axes", [1, -1, (1, 2), (1, 3)])
def test_expanded_axes(axes):
    model = between(
        lambda x: ops.squeeze(ops.expand_dims(x, axes), axes), shape=(4,)
    )
    assert sizes_of(model) == {"first": 6}


@pytest.mark.parametrize(
    "options", [{"renorm": True}, {"scale": False, "center": False}]
)
def test_batch_normalization(options):
    model = between(layers.BatchNormalization(**options))
    assert sizes_of(model) == {"first": 6}


def test_noise_of_dropout_that_channels_do_not_share():
    model = between(layers.Dropout(0.5, noise_shape=(None, 1, 6)), shape=(5, 4))
    _, _, narrowed = networks.check_narrow(model)
    narrowed(networks.inputs_of(narrowed), training=True)


@pytest.mark.parametrize(
    "layer",
    [
        layers.PReLU(),
        layers.BatchNormalization(axis=1),
        layers.LSTM(5, return_sequences=True),
    ],
)
def test_time_distributed_layers_see_an_axis_less(layer):
    inputs = keras.Input((3, 4))
    x = layers.Reshape((3, 4, 1))(layers.Dense(4, name="first")(inputs))
    x = layers.Dense(5, name="second")(x)
    x = layers.TimeDistributed(layer)(x)
    networks.check_narrow(keras.Model(inputs, layers.Dense(2)(x)))


def test_shared_axes_of_time_distributed_layers():
    inputs = keras.Input((2, 6, 6, 3))
    x = layers.TimeDistributed(layers.Conv2D(5, 3), name="steps")(inputs)
    x = layers.TimeDistributed(layers.PReLU(shared_axes=[1, 2, 3]))(x)
    x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(x)
    found, _, _ = networks.check_narrow(keras.Model(inputs, layers.Dense(2)(x)))
    assert [x.num_units for x in found.sets] == [5]


def test_time_steps_that_are_channels():
    inputs = keras.Input((6, 4))
    x = layers.Dense(6, name="first")(inputs)
    x = layers.TimeDistributed(layers.PReLU())(layers.Permute((2, 1))(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Permute((2, 1))(x)))
    assert sizes_of(model) == {}


def test_macs_of_a_recurrent_layer_in_time_distributed():
    inputs = keras.Input((3, 5, 4))
    x = layers.TimeDistributed(layers.LSTM(6, use_bias=False))(inputs)
    kernels = 4 * 6 * (4 + 6)
    assert structure.cost(keras.Model(inputs, x)) == structure.Cost(
        kernels, 3 * 5 * kernels
    )


@pytest.mark.parametrize(
    "inner",
    [
        lambda: layers.Reshape((1, 6)),
        lambda: keras.Sequential([keras.Input((6,)), layers.ReLU()]),
    ],
)
def test_what_is_called_several_times_has_one_size(inner):
    inner = inner()
    inputs = keras.Input((4,))
    x, y = (inner(layers.Dense(6, name=name)(inputs)) for name in "ab")
    model = keras.Model(inputs, [layers.Dense(2)(x), layers.Dense(2)(y)])
    assert list(sizes_of(model).values()) == [6]


def test_what_is_called_along_several_axes_stays():
    square = keras.Sequential([keras.Input((6, 6)), layers.ReLU()])
    inputs = keras.Input((6, 4))
    x, y = (layers.Dense(6, name=name)(inputs) for name in "ab")
    y = layers.Permute((2, 1))(square(layers.Permute((2, 1))(y)))
    outputs = [layers.Dense(2)(square(x)), layers.Dense(2)(y)]
    assert sizes_of(keras.Model(inputs, outputs)) == {}


def test_what_an_unknown_layer_has_stays_in_other_calls():
    """`TimeDistributed` of a model has no rule, the model's layers have."""
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, name="x"), layers.Dense(6)]
    )
    inputs = keras.Input((3, 4))
    x = layers.TimeDistributed(inner)(layers.Dense(6)(inputs))
    x = inner(layers.Dense(6, name="y")(layers.Flatten()(x)))
    assert sizes_of(keras.Model(inputs, layers.Dense(2)(x))) == {}


@pytest.mark.parametrize("shape", [(None,), ()])
def test_numbers_of_channels_that_are_not_known(shape):
    inputs = keras.Input(shape)
    x = layers.Dropout(0.1)(ops.relu(inputs))
    x = layers.Dense(6, name="first")(ops.expand_dims(x, -1))
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert sizes_of(model) == {"first": 6}


def test_selections_of_layers_that_are_called_by_name():
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="first")(inputs=inputs)
    x = layers.Add()([x, layers.Dense(6, name="second")(inputs=x)])
    x = layers.BatchNormalization(name="norm")(inputs=x)
    model = keras.Model(inputs, layers.Dense(2)(inputs=x))
    found, _, _ = networks.check_narrow(model, selections=True)
    assert "norm/selection" in [x.name for x in found.sets]


def test_frozen_layers_that_nobody_counts_are_named():
    class Own(layers.Dense):
        pass

    model = between(Own(5, name="own"))
    model.get_layer("own").trainable = False
    assert structure.Structure(model).uncounted == ("own",)


@pytest.mark.filterwarnings("ignore:Layer 'inner':UserWarning")
@pytest.mark.parametrize("mask_zero", [False, True])
def test_a_model_that_was_built_when_it_was_called(mask_zero):
    inner = keras.Sequential(
        [layers.Dense(4, name="x"), layers.LSTM(5, name="y")], name="inner"
    )
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(9, 6, mask_zero=mask_zero, name="table")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(inner(x)))
    assert list(sizes_of(model)) == ["table", "inner/x", "inner/y/lstm_cell"]


def test_images_in_time_distributed_with_channels_first():
    inputs = keras.Input((2, 6, 6, 3))
    x = layers.TimeDistributed(layers.Conv2D(5, 3), name="steps")(inputs)
    x = layers.TimeDistributed(
        layers.GlobalAveragePooling2D(data_format="channels_first")
    )(layers.Permute((1, 4, 2, 3))(x))
    found, _, _ = networks.check_narrow(keras.Model(inputs, layers.Dense(2)(x)))
    assert [x.num_units for x in found.sets] == [5]
