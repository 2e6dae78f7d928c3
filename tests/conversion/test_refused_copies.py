"""Models and layers that cannot be copied, and are named."""

import keras
import pytest
from keras import layers

import dsr_tf
from tests.conversion.models_to_copy import statistics
from tests.conversion.models_to_copy import with_head


class Forgetful(layers.Layer):
    """A layer that does not tell all about itself."""

    def __init__(self, forgets, size=5, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.what, self.size, self.factor = forgets, size, factor

    def build(self, shape):
        self.table = self.add_weight(shape=(self.size,), name="table")

    def call(self, x):
        return self.factor * x + self.table[0]

    def get_config(self):
        if self.what == "configuration":
            raise RuntimeError("I have none")
        config = {"forgets": self.what, "size": 5, "name": self.name}
        return {**super().get_config(), **config}

    def load_own_variables(self, store):
        if self.what == "loading":
            raise KeyError("what?")
        super().load_own_variables(store)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"forgets": "configuration"}, r"'odd' \(Forgetful\).*\(I have none"),
        ({"forgets": "loading"}, r"what it saves \('what\?'\) did not come"),
        ({"forgets": "size", "size": 7}, r"'odd'.*did not come along"),
        ({"forgets": "factor", "factor": 2.0}, "its argument factor=2.0 did"),
    ],
)
@pytest.mark.parametrize("verb", ["sparsify", "tie", "strip"])
def test_a_layer_that_cannot_be_copied_is_named(verb, arguments, message):
    inputs = keras.Input((5,))
    x = Forgetful(name="odd", **arguments)(inputs)
    model = keras.Model(inputs, dsr_tf.layers.SparseDense(3)(x))
    if verb != "strip":
        model = with_head(inputs, x)
    more = () if verb == "strip" else (0.5,)
    with pytest.raises(ValueError, match=message):
        getattr(dsr_tf, verb)(model, *more)


class Borrower(layers.Layer):
    """Multiplies by another layer's kernel, transposed."""

    def __init__(self, lender, **kwargs):
        super().__init__(**kwargs)
        self.lender = lender

    def call(self, x):
        return keras.ops.matmul(x, keras.ops.transpose(self.lender.kernel))

    def get_config(self):
        lender = keras.saving.serialize_keras_object(self.lender)
        return {**super().get_config(), "lender": lender}

    @classmethod
    def from_config(cls, config):
        config["lender"] = keras.saving.deserialize_keras_object(
            config["lender"]
        )
        return cls(**config)


def borrowing(inputs, lender):
    return Borrower(lender, name="odd")(lender(inputs))


def kernel_in_an_expression(inputs, lender):
    return keras.ops.matmul(lender(inputs), lender.kernel)


@pytest.mark.parametrize(
    "connect, message",
    [
        (borrowing, "'lender.*' is part of several layers"),
        (kernel_in_an_expression, "the variable lender/kernel, which a copy"),
    ],
)
def test_what_would_be_shared_no_more_is_refused(connect, message):
    inputs = keras.Input((5,))
    x = connect(inputs, layers.Dense(5, name="lender"))
    with pytest.raises(ValueError, match=message):
        dsr_tf.sparsify(with_head(inputs, x), 0.5)


def test_layers_beside_the_graph_are_refused():
    model, _ = statistics()
    model.aside = layers.Dense(2, name="aside")
    model.aside.build((None, 4))
    with pytest.raises(ValueError, match="aside/kernel.*no layer of the graph"):
        dsr_tf.sparsify(model, 0.5)


class Own(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = dsr_tf.layers.SparseDense(3, name="deep")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


class Half(Own):
    """One of its layers is masked in its code, others by `sparsify`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.other = layers.Dense(5, name="other")

    def build(self, shape):
        super().build(shape)
        self.other.build(shape)

    def call(self, x):
        return self.dense(self.other(x))


def half():
    model = keras.Sequential([keras.Input((5,)), Half(name="own")])
    return dsr_tf.sparsify(model, 0.5)


class OwnLSTM(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lstm = dsr_tf.layers.SparseLSTM(3, name="deep")

    def build(self, shape):
        self.lstm.build((1, *shape))

    def call(self, x):
        return self.lstm(x[None])


class Special(dsr_tf.layers.SparseDense):
    pass


def test_what_is_half_masked_in_its_own_code_is_not_stripped():
    with pytest.raises(ValueError, match="'deep'.*masked in its own code"):
        dsr_tf.strip(half())


@pytest.mark.parametrize(
    "layer, message",
    [
        (
            lambda: OwnLSTM(name="own"),
            r"'own' \(OwnLSTM\) makes its layer 'deep' \(SparseLSTM",
        ),
        (
            lambda: Own(name="own"),
            r"'own' \(Own\) makes its layer 'deep' \(SparseDe",
        ),
        (
            lambda: Special(3, name="own"),
            "the kind Special, which has no dense",
        ),
    ],
)
def test_sparse_layers_that_strip_cannot_replace_are_named(layer, message):
    model = keras.Sequential([keras.Input((5,)), layer()])
    with pytest.raises(ValueError, match=message):
        dsr_tf.strip(model)
