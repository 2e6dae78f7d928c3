"""What cannot be penalized is refused, and leaves models as they were."""

import keras
import pytest

import dsr_tf
from dsr_tf.regularizers import GroupLasso
from tests.conversion.test_regularize import Scaled
from tests.conversion.test_regularize import model_of
from tests.conversion.test_regularize import small_model


@keras.saving.register_keras_serializable("dsr_tf tests")
class Block(keras.layers.Layer):
    """One that makes a layer in its code."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(4, name="dense")

    def call(self, x):
        return self.inner(x)


def attention():
    inputs = keras.Input((3, 4))
    layer = keras.layers.MultiHeadAttention(2, 2, name="attention")
    return keras.Model(inputs, layer(inputs, inputs), name="net")


def with_lora():
    layer = keras.layers.Dense(4, name="dense")
    model = model_of(layer)
    layer.enable_lora(2)
    return model


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: model_of(Scaled(name="own")),
            r"'own/scales' cannot get a regularizer: layer 'own' \(Scaled\) "
            "has no argument `scales_regularizer`",
        ),
        (
            lambda: model_of(Block(name="block")),
            r"'block/dense/kernel'.* configuration of layer 'block' \(Block\)",
        ),
        (attention, r"'attention/query/kernel'.*\(MultiHeadAttention\)"),
        (with_lora, "'dense/kernel'.*with LoRA"),
    ],
)
def test_weights_that_cannot_have_a_penalty(make, message):
    model = make()
    for inplace in (False, True):
        with pytest.raises(ValueError, match=message):
            dsr_tf.regularize(model, {".": "l1"}, inplace=inplace)
    assert not model.losses


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "at least one of `regularizers` and `constraints`"),
        ({"regularizers": {}}, "at least one of"),
        ({"regularizers": ["kernel"]}, "`regularizers` must be a dict"),
        ({"constraints": {"(": "non_neg"}}, "must have regular expressions"),
        ({"regularizers": {"kernel": None}}, "must have regularizers as val"),
        ({"regularizers": {"kernel": "l7"}}, "l7"),
        (
            {"regularizers": {"kernel": "l1", "cone": "l1"}},
            "path of no trainable weight; these are conv/kernel, conv/bias, "
            "bn/gamma, and 3 more. Received: 'cone'",
        ),
        # These are not trained.
        ({"regularizers": {"moving": "l1"}}, "no trainable weight"),
        (
            {"regularizers": {"conv": GroupLasso(1, "input")}},
            "'conv/bias' cannot get the regularizer: .*without inputs",
        ),
        (
            {"regularizers": {"kernel": GroupLasso(1, "block:3x3")}},
            "'conv/kernel' cannot get the regularizer: .*block:3x3",
        ),
    ],
)
def test_bad_arguments_leave_a_model_as_it_was(arguments, message):
    model = small_model()
    before = model.get_config()
    for inplace in (False, True):
        with pytest.raises(ValueError, match=message):
            dsr_tf.regularize(model, **arguments, inplace=inplace)
    assert model.get_config() == before and not model.losses


def test_models_that_are_none_or_not_built():
    with pytest.raises(TypeError, match="`regularize` takes a Keras model"):
        dsr_tf.regularize(keras.layers.Dense(3), {"kernel": "l1"})
    with pytest.raises(ValueError, match="`regularize` takes a built model"):
        model = keras.Sequential([keras.layers.Dense(3)])
        dsr_tf.regularize(model, {"kernel": "l1"})
