"""Rules of layers, for all that these layers can be asked to do."""

import keras
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
    model = between(layers.Activation(activation, name="x"))
    assert structure.Structure(model).fixed == {"x": "it mixes channels"}


@pytest.mark.parametrize(
    "activation", ["mish", "linear", "relu6", ops.hard_tanh, layers.ReLU()]
)
def test_activations_that_are_elementwise(activation):
    model = between(layers.Dense(5, activation=activation, name="x"))
    assert sizes_of(model) == {"first": 6, "x": 5}
