"""Small networks whose channels are removed, and how results compare."""

import keras
import numpy as np
from keras import layers
from keras import ops

from dsr_tf import structure


def shake(model, seed=0):
    """Give all variables values under which mistakes show."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        size = variable.shape
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, size))
        elif variable.name in ("alpha", "beta", "bias", "moving_mean"):
            variable.assign(generator.normal(0, 0.3, size))
    return model


def inputs_of(model, batch=3, seed=0):
    generator = np.random.default_rng(seed)

    def values(tensor):
        shape = (batch, *[n or 7 for n in tensor.shape[1:]])
        if "int" in tensor.dtype:
            return generator.integers(0, 5, shape)
        return generator.normal(0, 1, shape).astype("float32")

    found = [values(tensor) for tensor in model.inputs]
    return found if len(found) > 1 else found[0]


def random_keep(sets, share=0.4, seed=0):
    """Keep units at random, at least one of each set."""
    generator = np.random.default_rng(seed)
    keep = {}
    for found in sets:
        stays = generator.random(found.num_units) > share
        stays[generator.integers(found.num_units)] = True
        keep[found.name] = stays
    return keep


def outputs_of(model, inputs):
    return [
        ops.convert_to_numpy(x)
        for x in keras.tree.flatten(model(inputs, training=False))
    ]


def assert_equal_outputs(first, second, inputs, tolerance=1e-6):
    pairs = zip(
        outputs_of(first, inputs), outputs_of(second, inputs), strict=True
    )
    for a, b in pairs:
        assert a.shape == b.shape
        assert np.isfinite(a).all()
        assert np.abs(a - b).max() <= tolerance * np.abs(a).max()


def num_parameters(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def check_narrow(
    model,
    share=0.4,
    selections=False,
    groups=False,
    seed=0,
    tolerance=1e-6,
    batch=3,
):
    """Narrow a model at random, and check what always holds."""
    shake(model, seed)
    found = structure.Structure(model, selections, groups)
    keep = random_keep(found.sets, share, seed)
    narrowed = structure.narrow(model, keep)
    inputs = inputs_of(model, batch, seed)
    masked = structure.mask(model, keep)
    assert_equal_outputs(masked, narrowed, inputs, tolerance)
    cost = structure.cost(model, keep)
    assert cost.parameters == num_parameters(narrowed)
    if not selections:
        assert cost == structure.cost(narrowed)
    return found, keep, narrowed


def residual():
    """Blocks as of a pre-activation network, with a wider second one."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", name="stem")(inputs)
    for block, width in enumerate((6, 10)):
        y = layers.BatchNormalization(name=f"bn{block}a")(x)
        y = layers.ReLU()(y)
        if width != x.shape[-1]:
            x = layers.Conv2D(width, 1, name=f"shortcut{block}")(y)
        y = layers.Conv2D(5, 3, padding="same", name=f"conv{block}a")(y)
        y = layers.BatchNormalization(name=f"bn{block}b")(y)
        y = layers.Activation("sigmoid")(y)
        y = layers.Conv2D(
            width, 3, padding="same", use_bias=False, name=f"conv{block}b"
        )(y)
        x = layers.Add()([x, y])
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


def squeeze_and_excite():
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 1, name="expand")(inputs)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    scale = layers.GlobalAveragePooling2D()(x)
    scale = layers.Reshape((1, 1, 16))(scale)
    scale = layers.Conv2D(3, 1, activation="silu", name="squeeze")(scale)
    scale = layers.Conv2D(16, 1, activation="sigmoid", name="excite")(scale)
    x = layers.Multiply()([x, scale])
    x = layers.Conv2D(5, 1, name="project")(x)
    return keras.Model(inputs, layers.Flatten()(x))


def grouped():
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(12, 3, name="first")(inputs)
    x = layers.Conv2D(8, 3, groups=4, name="grouped")(x)
    x = layers.PReLU(shared_axes=(1, 2))(x)
    x = layers.MaxPooling2D(2, strides=1)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def concatenated():
    inputs = keras.Input((6, 6, 3))
    a = layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    b = layers.Conv2D(6, 3, padding="same", name="b")(a)
    x = layers.Concatenate()([a, b])
    x = layers.BatchNormalization()(x)
    x = ops.concatenate([ops.relu(x), a], axis=-1)
    x = layers.Conv2D(5, 3, name="c")(x)
    return keras.Model(inputs, ops.mean(x, axis=(1, 2)))


def transposed_and_separable():
    inputs = keras.Input((6, 6, 3))
    x = layers.SeparableConv2D(
        7, 3, depth_multiplier=2, activation="relu", name="separable"
    )(inputs)
    x = layers.SeparableConv2D(5, 1, depth_multiplier=3, name="second")(x)
    x = layers.Conv2DTranspose(6, 3, strides=2, name="transposed")(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.Cropping2D(1)(x)
    x = layers.Conv2D(2, 3, name="last")(x)
    return keras.Model(inputs, x)


def one_and_three_dimensions():
    inputs = keras.Input((9, 3))
    x = layers.Conv1D(6, 3, activation="gelu", name="one")(inputs)
    x = layers.DepthwiseConv1D(3, name="depthwise")(x)
    x = layers.SeparableConv1D(7, 2, name="separable")(x)
    x = layers.Conv1DTranspose(5, 2, name="transposed")(x)
    x = layers.Reshape((5, 1, 1, 5))(x)
    x = layers.Conv3D(4, 1, name="three")(x)
    x = layers.Conv3DTranspose(3, 2, name="back")(x)
    x = layers.GlobalMaxPooling3D()(x)
    return keras.Model(inputs, layers.Dense(2, name="logits")(x))


def recurrent():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(11, 8, name="embedding")(inputs)
    x = layers.LSTM(6, return_sequences=True, name="lstm")(x)
    x = layers.Bidirectional(layers.GRU(5, return_sequences=True), name="both")(
        x
    )
    x = layers.TimeDistributed(layers.Dense(9, "tanh"), name="steps")(x)
    x = layers.Bidirectional(
        layers.SimpleRNN(4, return_sequences=True),
        merge_mode="sum",
        name="summed",
    )(x)
    x, *states = layers.LSTM(5, return_state=True, name="encoder")(x)
    y = layers.RepeatVector(3)(x)
    y = layers.LSTM(5, name="decoder")(y, initial_state=states)
    return keras.Model(inputs, layers.Dense(2, name="logits")(y))


def convolutional_recurrent():
    inputs = keras.Input((3, 6, 6, 2))
    x = layers.ConvLSTM2D(5, 3, return_sequences=True, name="first")(inputs)
    x = layers.TimeDistributed(layers.Conv2D(4, 1), name="steps")(x)
    x = layers.ConvLSTM2D(3, 3, name="second")(x)
    return keras.Model(inputs, layers.Conv2D(2, 1, name="last")(x))


def transformer():
    """Two blocks as of a vision transformer."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(12, 4, strides=4, name="patches")(inputs)
    x = layers.Reshape((4, 12))(x)
    for block in range(2):
        y = layers.LayerNormalization(name=f"norm{block}a")(x)
        y = layers.MultiHeadAttention(4, 3, name=f"attention{block}")(y, y)
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(name=f"norm{block}b")(x)
        y = layers.Dense(20, "gelu", name=f"wide{block}")(y)
        y = layers.Dropout(0.1)(y)
        x = x + layers.Dense(12, name=f"back{block}")(y)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x[:, 0]))


def attention_without_norms():
    query, value = keras.Input((4, 6)), keras.Input((5, 6))
    q = layers.Dense(8, "relu", name="q")(query)
    v = layers.Dense(10, "relu", name="v")(value)
    # On JAX Keras' own layer cannot compute with other sizes of values.
    size = 4 if keras.backend.backend() == "jax" else 2
    x = layers.MultiHeadAttention(3, 4, value_dim=size, name="first")(q, v)
    x = layers.MultiHeadAttention(2, 4, output_shape=7, name="second")(x, v)
    v = layers.Dense(7, name="v2")(v)
    x = layers.GroupQueryAttention(4, 4, 2, name="grouped")(x, v)
    return keras.Model([query, value], layers.Dense(3, name="logits")(x))


def nested():
    inner_inputs = keras.Input((8,))
    x = layers.Dense(7, "relu", name="first")(inner_inputs)
    inner = keras.Model(
        inner_inputs, layers.Dense(6, name="second")(x), name="inner"
    )
    tail = keras.Sequential(
        [layers.Dense(5, "relu", name="third"), layers.Dense(6, name="fourth")],
        name="tail",
    )
    inputs = keras.Input((4,))
    x = layers.Dense(8, "relu", name="before")(inputs)
    x = tail(inner(x))
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def shared():
    """A block and a layer called twice."""
    block_inputs = keras.Input((6,))
    block = keras.Model(
        block_inputs,
        layers.Dense(6, name="back")(
            layers.Dense(9, "relu", name="wide")(block_inputs)
        ),
        name="block",
    )
    a, b = keras.Input((4,)), keras.Input((4,))
    encode = layers.Dense(6, "relu", name="encode")
    x = layers.Subtract()([block(encode(a)), block(block(encode(b)))])
    return keras.Model([a, b], layers.Dense(2, name="logits")(x))


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(6, 3, activation="relu", name="conv1"),
            layers.BatchNormalization(name="bn"),
            layers.MaxPooling2D(),
            layers.Conv2D(7, 2, name="conv2"),
            layers.Flatten(),
            layers.Dense(9, "relu", name="dense1"),
            layers.Dense(3, name="dense2"),
        ]
    )


NETWORKS = {
    build.__name__: build
    for build in (
        attention_without_norms,
        concatenated,
        convolutional_recurrent,
        grouped,
        nested,
        one_and_three_dimensions,
        recurrent,
        residual,
        sequential,
        shared,
        squeeze_and_excite,
        transformer,
        transposed_and_separable,
    )
}
