"""Random models, methods and optimizers: what always holds, holds.

Each example is a model of mixed kinds of layers, some of them frozen,
trained by two methods in turn and then by plain `fit`. The budget must be
exact, zeros exact, survivors untouched by a move, and nothing that is pruned
may grow again in the same move.
"""

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import Reallocation
from tests.conftest import needs_tensorflow
from tests.conftest import values

pytestmark = needs_tensorflow

BATCH, STEPS, PERIOD = 4, 4, 2
NEEDS_MOMENTUM, NEEDS_ELEMENTS = "snfs", "deep_r"

METHODS = {
    "dsr": lambda: methods.DSR(3, initial_threshold=0.05),
    "set": lambda: methods.SET(0.3),
    "rigl": lambda: methods.RigL(0.3, None),
    "snfs": lambda: methods.SNFS(0.3, None),
    "adaptive": lambda: methods.Adaptive(0.3, None, growth="half"),
    "by_momentum": lambda: methods.Adaptive(
        0.3, None, scope="kernel", redistribution="momentum", growth="alive"
    ),
    "deep_r": lambda: methods.DeepR(1e-3),
    "gradual": None,
}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "nesterov": lambda: keras.optimizers.SGD(0.05, 0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "lion": lambda: keras.optimizers.Lion(0.001),
    "ftrl": lambda: keras.optimizers.Ftrl(0.05),
    "average": lambda: keras.optimizers.Adam(0.01, use_ema=True),
}
WITH_MOMENTUM = ("momentum", "nesterov", "adam", "adamw", "lion", "average")
GRANULARITIES = ("element", "kernel", "channel", "block:2x2")


@st.composite
def masked_arguments(draw, is_element):
    return {
        "sparsity": draw(st.sampled_from([0.0, 0.3, 0.6, 0.9, 0.98])),
        "granularity": "element"
        if is_element
        else draw(st.sampled_from(GRANULARITIES)),
        "seed": draw(st.integers(0, 1000)),
        "trainable": draw(st.integers(0, 4)) > 0,
    }


@st.composite
def models(draw, is_element):
    """A model for images, vectors, words or sequences, and which of them."""
    more = draw(st.integers(1, 3))
    each = [draw(masked_arguments(is_element)) for _ in range(more + 1)]
    units = [draw(st.sampled_from([4, 6, 10])) for _ in range(more)]
    kinds = ["vectors", "images", "words", "sequences"]
    kind = draw(st.sampled_from(kinds))
    if kind == "images":
        inputs = x = keras.Input((6, 6, 2))
        for n, arguments in zip(units, each):
            x = draw(st.sampled_from(CONVOLUTIONS))(n, arguments)(x)
            if draw(st.booleans()):
                x = keras.layers.BatchNormalization()(x)
            x = keras.layers.Activation("relu")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
    elif kind == "sequences":
        inputs = x = keras.Input((5, 4))
        for n, arguments in zip(units, each):
            x = draw(st.sampled_from(OVER_TIME))(n, arguments, x)
        x = keras.layers.GlobalAveragePooling1D()(x)
    else:
        inputs = x = keras.Input((8,))
        if kind == "words":
            x = layers.SparseEmbedding(12, 4, **each[0])(x)
            x = keras.layers.Flatten()(x)
        for n, arguments in zip(units[kind == "words" :], each):
            x = draw(st.sampled_from(PRODUCTS))(n, arguments)(x)
            x = keras.layers.Activation("relu")(x)
    # The last kernel is trained in any case.
    last = {**each[-1], "trainable": True}
    outputs = layers.SparseDense(4, **last)(x)
    return keras.Model(inputs, outputs), kind


CONVOLUTIONS = [
    lambda n, a: layers.SparseConv2D(n, 3, padding="same", **a),
    lambda n, a: layers.SparseConv2D(n, 1, use_bias=False, **a),
    lambda n, a: layers.SparseConv2DTranspose(n, 2, padding="same", **a),
    lambda n, a: layers.SparseSeparableConv2D(
        n, 3, padding="same", depth_multiplier=2, **a
    ),
    lambda n, a: layers.SparseDepthwiseConv2D(
        3, padding="same", depth_multiplier=2, **a
    ),
]
OVER_TIME = [
    lambda n, a, x: layers.SparseLSTM(n, return_sequences=True, **a)(x),
    lambda n, a, x: layers.SparseSimpleRNN(n, return_sequences=True, **a)(x),
    lambda n, a, x: keras.layers.Bidirectional(
        layers.SparseGRU(n, return_sequences=True, **a)
    )(x),
    lambda n, a, x: layers.SparseMultiHeadAttention(2, n, **a)(x, x),
    lambda n, a, x: layers.SparseGroupedQueryAttention(n, 4, 2, **a)(x, x),
    lambda n, a, x: layers.SparseSeparableConv1D(
        n, 3, padding="same", depth_multiplier=2, **a
    )(x),
]
PRODUCTS = [
    lambda n, a: layers.SparseDense(n, **a),
    lambda n, a: layers.SparseDense(n, kernel_regularizer="l2", **a),
    lambda n, a: layers.SparseEinsumDense("ab,bc->ac", n, bias_axes="c", **a),
]


class Witness:
    """Two callbacks around that of a method, and its listener.

    Args:
        model: The model.
        has_slots: Whether its optimizer has; else inactive weights hold the
            gradients that a method wants, from one step to the next.
    """

    def __init__(self, model, has_slots):
        self.masked, self.has_slots = layers.masked_weights(model), has_slots
        self.before, self.record, self.budget = None, None, None
        self.first = keras.callbacks.LambdaCallback(
            on_train_batch_begin=self.remember
        )
        self.last = keras.callbacks.LambdaCallback(
            on_train_batch_begin=self.compare, on_epoch_end=self.count
        )

    def remember(self, batch, logs):
        self.before = [
            (values(w.mask).copy(), values(w.kernel).copy())
            for w in self.masked
        ]

    def listen(self, record):
        self.record = record

    def count(self, epoch, logs):
        for weight in self.masked:
            active = values(weight.mask)
            assert active.any()
            kernel = weight.grouping.groups(values(weight.kernel))
            if self.has_slots:
                assert not kernel[~active.reshape(-1)].any()

    def compare(self, batch, logs):
        record, self.record = self.record, None
        if record is None:
            return
        total = record.num_active + record.carry
        assert self.budget in (None, total)
        self.budget = total
        for weight, (old, old_kernel) in zip(self.masked, self.before):
            new = values(weight.mask)
            old, new = old.reshape(-1), new.reshape(-1)
            rows = weight.grouping.groups(values(weight.kernel))
            old_rows = weight.grouping.groups(old_kernel)
            stayed = old & new
            np.testing.assert_array_equal(rows[stayed], old_rows[stayed])
            assert not rows[~stayed].any()
            size = weight.group_size
            if not weight.trainable:
                np.testing.assert_array_equal(old, new)
                continue
            # Were a pruned group grown again, fewer would be seen to go.
            assert (old & ~new).sum() * size == record.pruned[weight.path]
            assert (~old & new).sum() * size == record.grown[weight.path]


def callback_of(name, listener):
    if name == "gradual":
        return GradualPruning(
            target_sparsity=0.9,
            pruning_frequency=PERIOD,
            sparsity_function_end_step=5 * STEPS,
            listener=listener,
        )
    return Reallocation(METHODS[name](), PERIOD, seed=7, listener=listener)


def train(model, data, callbacks, epochs=2):
    model.fit(
        *data, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=callbacks
    )


def check(draw):
    """Draw a model and all else, train, and look."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    names = draw(st.lists(st.sampled_from([*METHODS]), min_size=2, max_size=2))
    optimizer = draw(
        st.sampled_from(
            WITH_MOMENTUM if NEEDS_MOMENTUM in names else [*OPTIMIZERS]
        )
    )
    model, kind = draw(models(is_element=NEEDS_ELEMENTS in names))
    generator = np.random.default_rng(0)
    shape = (BATCH * STEPS, *model.inputs[0].shape[1:])
    x = generator.integers(0, 12, shape)
    if kind != "words":
        x = generator.normal(size=shape).astype("float32")
    data = x, generator.integers(0, 4, BATCH * STEPS)
    model.compile(
        OPTIMIZERS[optimizer](),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=draw(st.integers(0, 3)) > 0,
    )
    for name in names:
        witness = Witness(model, optimizer != "sgd")
        method = callback_of(name, witness.listen)
        if (
            name == "dsr"
            and sum(w.num_active for w in witness.masked if w.trainable) <= 3
        ):
            continue
        if name == "deep_r":
            # It moves weights in the steps: there is no moment between.
            before = [w.num_active for w in witness.masked]
            train(model, data, [method])
            assert before == [w.num_active for w in witness.masked]
        elif name == "gradual":
            train(model, data, [method])
        else:
            train(model, data, [witness.first, method, witness.last])
            assert witness.budget is not None
        assert_zeros(model)
    masks = [values(w.mask) for w in layers.masked_weights(model)]
    train(model, data, [], epochs=1)
    assert_zeros(model)
    for weight, mask in zip(layers.masked_weights(model), masks):
        np.testing.assert_array_equal(values(weight.mask), mask)


def assert_zeros(model):
    for weight in layers.masked_weights(model):
        rows = weight.grouping.groups(values(weight.kernel))
        assert not rows[~values(weight.mask).reshape(-1)].any()
        assert np.isfinite(rows).all()


def try_models(number, seed):
    @hypothesis.seed(seed)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def examples(data):
        check(data.draw)

    examples()


def test_two_models():
    try_models(2, 0)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_five_hundred_models(part):
    try_models(50, 100 + part)
