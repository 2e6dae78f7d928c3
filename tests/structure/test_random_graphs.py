"""Random functional graphs: what always holds, holds."""

import hypothesis
import keras
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from keras import layers
from keras import ops

from tests.structure import networks

WIDTHS = (2, 3, 4, 6)


@st.composite
def graphs(draw):
    """Images, through layers that are joined at random, to vectors."""
    inputs = keras.Input((8, 8, 3))
    # All of one size, so that any two can be joined.
    tensors = [layers.Conv2D(draw(st.sampled_from(WIDTHS)), 3)(inputs)]
    shared = []
    for _ in range(draw(st.integers(3, 9))):
        x = draw(st.sampled_from(tensors))
        tensors.append(draw(st.sampled_from(STEPS))(draw, x, tensors, shared))
    x = layers.Concatenate()([*draw(st.permutations(tensors))[:2], tensors[-1]])
    x = draw(
        st.sampled_from(
            [
                layers.Flatten(),
                layers.GlobalMaxPooling2D(),
                lambda x: ops.mean(x, axis=(1, 2)),
            ]
        )
    )(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def convolution(draw, x, tensors, shared):
    width = draw(st.sampled_from(WIDTHS))
    size = draw(st.sampled_from([1, 3]))
    return layers.Conv2D(width, size, padding="same")(x)


def grouped(draw, x, tensors, shared):
    groups = 2 if x.shape[-1] % 2 == 0 else 1
    width = draw(st.sampled_from([2, 4, 6]))
    return layers.Conv2D(width, 3, padding="same", groups=groups)(x)


def depthwise(draw, x, tensors, shared):
    multiplier = draw(st.integers(1, 2))
    return layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=multiplier
    )(x)


def separable(draw, x, tensors, shared):
    width = draw(st.sampled_from(WIDTHS))
    return layers.SeparableConv2D(width, 3, padding="same")(x)


def transposed(draw, x, tensors, shared):
    width = draw(st.sampled_from(WIDTHS))
    return layers.Conv2DTranspose(width, 3, padding="same")(x)


def normalization(draw, x, tensors, shared):
    return layers.BatchNormalization()(x)


def activation(draw, x, tensors, shared):
    return draw(
        st.sampled_from(
            [
                layers.ReLU(),
                layers.Activation("sigmoid"),
                layers.PReLU(),
                layers.MaxPooling2D(3, 1, padding="same"),
                ops.gelu,
                lambda x: x * 0.5 + 1,
            ]
        )
    )(x)


def mixing(draw, x, tensors, shared):
    """A layer that nobody follows."""
    return layers.LayerNormalization()(x)


def sum_or_product(draw, x, tensors, shared):
    like = [y for y in tensors if y.shape == x.shape]
    y = draw(st.sampled_from(like))
    join = draw(
        st.sampled_from(
            [
                layers.Add(),
                layers.Multiply(),
                layers.Maximum(),
                lambda pair: pair[0] + pair[1],
                lambda pair: pair[0] - pair[1],
            ]
        )
    )
    return join([x, y])


def concatenation(draw, x, tensors, shared):
    y = draw(st.sampled_from(tensors))
    if x.shape[-1] + y.shape[-1] > 16:
        return x
    return layers.Concatenate()([x, y])


def called_again(draw, x, tensors, shared):
    for layer in shared:
        if layer.input_spec is None or layer.units == x.shape[-1]:
            return layer(x)
    layer = layers.Dense(x.shape[-1], "tanh")
    shared.append(layer)
    return layer(layer(x))


def excited(draw, x, tensors, shared):
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Dense(x.shape[-1], "sigmoid")(y)
    return layers.Multiply()([x, y])


STEPS = [
    convolution,
    grouped,
    depthwise,
    separable,
    transposed,
    normalization,
    activation,
    mixing,
    sum_or_product,
    concatenation,
    called_again,
    excited,
]


def run(num_examples):
    @hypothesis.settings(
        max_examples=num_examples,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @hypothesis.given(graphs(), st.booleans(), st.integers(0, 100))
    def check(model, selections, seed):
        networks.check_narrow(model, 0.5, selections, seed)

    check()


def test_a_few():
    run(12)


@pytest.mark.slow
def test_many():
    run(200)
