"""Models that are hard to copy, each with data for it."""

import keras
import numpy as np
from keras import layers

NUMBERS = np.random.default_rng(0).normal(2, 3, (6, 5)).astype("float32")
WORDS = np.array([["red fox"], ["old dog"], ["red dog"], ["a cat"]])
COUNTS = np.array([[7], [5], [7], [2]])


def with_head(inputs, x):
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


def adapted(layer, data, shape, dtype, *then):
    layer.adapt(data)
    inputs = x = keras.Input(shape, dtype=dtype)
    for each in (layer, *then):
        x = each(x)
    return with_head(inputs, x), data


def normalization():
    return adapted(layers.Normalization(), NUMBERS, (5,), "float32")


def discretization():
    embedding = layers.Embedding(5, 2)
    return adapted(
        layers.Discretization(num_bins=4),
        NUMBERS,
        (5,),
        "float32",
        embedding,
        layers.Flatten(),
    )


def strings(layer, *then):
    return lambda: adapted(layer(), WORDS, (1,), "string", *then)


def integers():
    layer = layers.IntegerLookup(output_mode="multi_hot")
    return adapted(layer, COUNTS, (1,), "int64")


def hashing():
    inputs = keras.Input((1,), dtype="string")
    x = layers.Hashing(9, salt=3, output_mode="multi_hot")(inputs)
    return with_head(inputs, x), WORDS


def statistics():
    model = with_head(
        x := keras.Input((5,)), layers.BatchNormalization(name="norm")(x)
    )
    model.get_layer("norm").moving_mean.assign([1, 2, 3, 4, 5])
    return model, NUMBERS


def recurrent():
    """Of Keras: layers in layers, masks through the graph."""
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(9, 6, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.TimeDistributed(layers.Dense(4))(x)
    x = layers.GlobalAveragePooling1D()(layers.RNN(cells(), True)(x))
    return with_head(inputs, x), np.arange(8).reshape(2, 4)


def cells():
    return layers.StackedRNNCells([layers.GRUCell(3), layers.LSTMCell(2)])


def lora():
    inputs = keras.Input((5,))
    x = layers.SpectralNormalization(layers.Dense(4))(inputs)
    model = with_head(inputs, layers.Dense(4, name="tuned")(x))
    tuned = model.get_layer("tuned")
    tuned.enable_lora(2)
    tuned.lora_kernel_b.assign(np.ones((2, 4)))
    return model, NUMBERS


class Scale(layers.Layer):
    """Not registered; states in lists and dicts; counts its calls."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.parts = [layers.Dense(5), {"norm": layers.BatchNormalization()}]

    def build(self, shape):
        self.offset = self.add_weight(shape=(5,), name="offset")
        self.parts[0].build(shape)
        self.parts[1]["norm"].build(shape)

    def compute_output_shape(self, shape):
        return shape

    def call(self, x):
        x = self.parts[1]["norm"](self.parts[0](x))
        return self.factor * x + self.offset


def own_layers():
    inputs = keras.Input((5,))
    x = Scale(factor=3.0, name="scale")(inputs)
    x = layers.TimeDistributed(Scale())(x[:, None])
    x = layers.Dense(2, activation=lambda x: 2 * x)(x[:, 0])
    model = with_head(inputs, x)
    model.set_weights([w + 1 for w in model.get_weights()])
    return model, NUMBERS


class Block(keras.Model):
    """Inside of another model, a layer like any."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(5)

    def call(self, x):
        return self.dense(x) + x


def models_in_models():
    shared = layers.Dense(5)
    outer = keras.Input((5,))
    inner = keras.Sequential([keras.Input((5,)), shared, Block()])
    x = layers.TimeDistributed(inner)(layers.RepeatVector(2)(inner(outer)))
    return with_head(outer, shared(x[:, 0])), NUMBERS


def operations():
    """What Keras makes of expressions with tensors."""
    inputs = keras.Input((5,))
    x = keras.ops.relu(inputs + layers.Dense(5)(inputs))
    x = keras.ops.concatenate([x[..., :3], 1 - x, -x * 2.5], axis=-1)
    x = keras.ops.vectorized_map(lambda row: row / 2, x)
    scale = np.float32(3)
    x = layers.Lambda(lambda x: keras.ops.tanh(x) * scale)(x)
    x = layers.Activation(lambda x: x**2)(x)
    x = keras.ops.where(x > 0.5, x, keras.ops.zeros_like(x))
    return with_head(inputs, x), NUMBERS


class Wide(keras.Model):
    """A functional model in a class, several inputs by name, outputs."""

    def __init__(self):
        inputs = {
            "a": keras.Input((5,), name="a"),
            "b": keras.Input((5,), name="b", dtype="int32"),
        }
        x = layers.Dense(4)(inputs["a"])
        y = layers.Embedding(9, 2)(inputs["b"])
        y = layers.Flatten()(y)
        outputs = {"sum": layers.Dense(4)(y) + x, "x": layers.Dense(1)(x)}
        super().__init__(inputs, outputs)


def by_name():
    return Wide(), {"a": NUMBERS, "b": np.arange(30).reshape(6, 5) % 9}


def compiled():
    model, data = statistics()
    model.compile("adam", lambda y, z: keras.ops.mean(y - z))
    return model, data


PLAIN = [
    normalization,
    statistics,
    recurrent,
    lora,
    own_layers,
    models_in_models,
    operations,
    by_name,
    compiled,
]
WITH_TABLES = [
    discretization,
    hashing,
    integers,
    strings(
        lambda: layers.TextVectorization(output_sequence_length=3),
        layers.Embedding(9, 2),
        layers.Flatten(),
    ),
    strings(lambda: layers.TextVectorization(output_mode="tf_idf")),
    strings(lambda: layers.StringLookup(output_mode="one_hot")),
]
