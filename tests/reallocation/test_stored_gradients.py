"""RigL in `fit`, on layers that store active weights only."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.core import stripes
from dsr_tf.layers import SparseDense
from dsr_tf.layers import SparseEmbedding
from dsr_tf.layers import masked_weights
from dsr_tf.layers.candidates import Found
from dsr_tf.layers.candidates import shape_of
from dsr_tf.methods.gradient_gate import GradientGate
from dsr_tf.reallocation.device import NotFinite
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import assert_same
from tests.conftest import needs_jax
from tests.conftest import needs_tensorflow
from tests.conftest import slow_on_jax
from tests.conftest import snapshot
from tests.layers.test_lists import largest_tensor

IS_TENSORFLOW = keras.backend.backend() == "tensorflow"


def a_model(with_lists=IS_TENSORFLOW, num_calls=1):
    """From 4 words, each of 30, to 4 classes, by all storages."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), dtype="int32")
    x = SparseEmbedding(30, 8, 0.5, seed=0, storage="rows", name="words")(
        inputs
    )
    x = keras.layers.Flatten()(x)
    blocks = {"granularity": "block:4", "storage": "blocks"}
    hidden = SparseDense(32, 0.7, **blocks, seed=1, name="hidden")
    for _ in range(num_calls):
        x = keras.ops.tanh(hidden(x))
    last = {"storage": "lists"} if with_lists else blocks
    outputs = SparseDense(4, 0.5, **last, seed=2, name="last")(x)
    return keras.Model(inputs, outputs)


def data(number=96):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 30, (number, 4))
    return x, generator.integers(0, 4, number)


def compiled(model, optimizer="adam", **arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **arguments)
    return model


RIGL = methods.RigL(0.3, None)
ALIVE = methods.Adaptive(0.3, None, growth="alive")


def fitted(
    model,
    epochs=1,
    callbacks=(),
    first=0,
    period=10,
    method=RIGL,
    seed=0,
    **arguments,
):
    records = []
    callback = Reallocation(method, period, seed=seed, listener=records.append)
    model.fit(
        *data(),
        batch_size=8,
        initial_epoch=first,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[callback, *callbacks],
        **arguments,
    )
    return records


@needs_tensorflow
def test_masks_that_have_changed_meanwhile():
    """What could grow may be active now: it waits for the next gradient.

    (JAX looks for what could grow at the reallocation only.)
    """
    model = compiled(a_model())

    def change(epoch, logs):
        for weight in masked_weights(model) if epoch == 0 else ():
            variable = weight.variable
            places = weight.grouping.random_places(
                variable.num_active_groups(), np.random.default_rng(5)
            )
            arrays = variable.arrange_places(weight.grouping, places)
            for part, array in zip(variable.where, arrays.values()):
                part.assign(array)

    changing = keras.callbacks.LambdaCallback(on_epoch_end=change)
    records = fitted(model, 3, [changing], period=12)
    assert [r.step for r in records] == [24]


def assert_same_places(model, other):
    for pair in zip(masked_weights(model), masked_weights(other)):
        np.testing.assert_array_equal(*(w.variable.places() for w in pair))


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"jit_compile": True}, marks=slow_on_jax),
        pytest.param({"steps_per_execution": 5}, marks=needs_tensorflow),
    ],
)
def test_the_places_of_a_masked_model(arguments):
    # XLA has no lists.
    stored = a_model(IS_TENSORFLOW and "jit_compile" not in arguments)
    if "jit_compile" in arguments:
        for layer in stored.layers:
            layer.supports_jit = True  # Though it is not faster here.
    assert_moves_as_masked(stored, **arguments)


@pytest.mark.parametrize(
    "run_eagerly", [False, pytest.param(True, marks=slow_on_jax)]
)
def test_a_layer_that_is_called_twice(run_eagerly):
    """In a step, so that it has the gradients of both calls."""
    assert_moves_as_masked(a_model(num_calls=2), run_eagerly=run_eagerly)


def assert_moves_as_masked(stored, **arguments):
    masked = dsr_tf.with_storage(stored, "masked")
    before = [w.variable.places() for w in masked_weights(stored)]
    records = fitted(compiled(stored, **arguments))
    assert [r.step for r in records] == [10]
    assert records == fitted(compiled(masked))
    assert_same_places(stored, masked)
    after = [w.variable.places() for w in masked_weights(stored)]
    assert not any(map(np.array_equal, before, after))


@needs_tensorflow
def test_replicas():
    """Gradients are those of the examples of all of them."""
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    masked = dsr_tf.with_storage(a_model(), "masked")
    with strategy.scope():
        stored = compiled(a_model())
    # Two reallocations, so that replicas are compared after the first.
    records = fitted(stored, 2)
    assert [r.step for r in records] == [10, 20]
    assert records == fitted(compiled(masked), 2)
    assert_same_places(stored, masked)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"run_eagerly": True}, marks=pytest.mark.slow),
        pytest.param({"jit_compile": True}, marks=needs_tensorflow),
        pytest.param({"replicas": 2}, marks=needs_tensorflow),
    ],
)
def test_draws_of_those_that_a_gradient_reaches(arguments):
    """Depend on the seed, and on nothing else."""
    # XLA has no lists.
    with_lists = IS_TENSORFLOW and "jit_compile" not in arguments
    model, other, elsewhere = (a_model(with_lists) for _ in range(3))
    records = fitted(compiled(model), 2, method=ALIVE)
    assert [r.step for r in records] == [10, 20]
    fitted(compiled(other), 2, method=ALIVE, seed=1)
    assert not np.array_equal(*map(all_places, (model, other)))
    if "replicas" in arguments:
        import tensorflow as tf

        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            elsewhere = compiled(a_model())
    else:
        for layer in elsewhere.layers if "jit_compile" in arguments else ():
            layer.supports_jit = True  # Though it is not faster here.
        compiled(elsewhere, **arguments)
    assert fitted(elsewhere, 2, method=ALIVE) == records
    assert_same_places(elsewhere, model)


class DrawsAlive(methods.Method):
    """That of somebody else, who knows what the base class says."""

    dense_gradients = "before"
    draws_alive = True

    def prune(self, kernels, state, step):
        return [kernel.smallest(0.3) for kernel in kernels]

    def in_step(self, masked, trained):
        return GradientGate(self, masked, trained, every_step=False)


def test_a_method_says_that_it_draws(monkeypatch):
    keys = []
    whole = stripes._largest

    def spy(scores, is_taken, num_kept, start, key):
        keys.append(key)
        return whole(scores, is_taken, num_kept, start, key)

    monkeypatch.setattr(stripes, "_largest", spy)
    fitted(compiled(a_model(False)), method=DrawsAlive())
    assert keys and all(key is not None for key in keys)


def all_places(model):
    return np.concatenate([w.variable.places() for w in masked_weights(model)])


@needs_jax
def test_devices_of_jax():
    masked = dsr_tf.with_storage(a_model(), "masked")
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    try:
        stored = compiled(a_model())
        records = fitted(stored)
    finally:
        keras.distribution.set_distribution(None)
    assert records == fitted(compiled(masked))
    assert_same_places(stored, masked)


@pytest.mark.parametrize(
    "method",
    [pytest.param(RIGL, marks=pytest.mark.slow), ALIVE],
    ids=["rigl", "alive"],
)
def test_goes_on_from_a_file(tmp_path, method):
    """That was saved between a gradient and its reallocation."""
    whole, path = compiled(a_model()), tmp_path / "m.keras"
    saving = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch == 0 and whole.save(path)
    )
    records = fitted(whole, 3, [saving], period=12, method=method)
    loaded, other = (keras.models.load_model(path) for _ in range(2))
    stored = [weight.variable for weight in masked_weights(loaded)]
    assert all(variable.has_candidates() for variable in stored)
    assert fitted(loaded, 3, first=1, period=12, method=method) == records
    assert_same(snapshot(loaded)[:6], snapshot(whole)[:6])
    assert not any(variable.has_candidates() for variable in stored)
    # Without, as of a layer with other slots, it waits for the next.
    masked_weights(other)[0].variable.candidates.assign(None)
    others = fitted(other, 3, first=1, period=12, method=method)
    assert [r.step for r in others] == [24]


def test_a_damaged_file():
    whole = compiled(a_model())
    store = {}
    saving = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: whole.get_layer(
            "hidden"
        ).save_own_variables(store)
    )
    fitted(whole, callbacks=[saving], period=12)
    layer = a_model().get_layer("hidden")
    layer.load_own_variables(store)
    (weight,) = masked_weights(layer)
    row, bin = divmod(int(weight.variable.places()[0]), 8)
    for wrong in (-1, 99, row, store["kernel.candidates"][bin, 1]):
        damaged = store["kernel.candidates"].copy()
        damaged[bin, 0] = wrong
        with pytest.raises(ValueError, match="candidates.*damaged"):
            layer.load_own_variables({**store, "kernel.candidates": damaged})


def test_gradients_that_are_not_finite():
    model = compiled(a_model())
    model.train_on_batch(*data(8))
    reallocator = Reallocator(model, methods.RigL(0.3, None))
    for weight in masked_weights(model):
        shape = shape_of(weight.grouping)
        infinite = Found(np.full(shape, np.inf), np.zeros(shape, "int32"))
        weight.variable.candidates.assign(infinite)
    with pytest.raises(NotFinite, match="gradients of words/embeddings"):
        reallocator.step(model.optimizer, 1)


def test_sums_of_gradients():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model = compiled(a_model(), optimizer)
    with pytest.raises(ValueError, match="RigL.*gradient_accumulation_steps=2"):
        fitted(model)


@needs_tensorflow
@pytest.mark.parametrize(
    ("storage", "granularity"), [("blocks", "block:4"), ("lists", "element")]
)
def test_no_tensor_of_the_whole_size(storage, granularity, monkeypatch):
    """Nor in the step that looks at gradients."""
    monkeypatch.setattr(stripes, "STRIPE", 200)
    inputs = keras.Input((56,))
    kind = {"storage": storage, "granularity": granularity}
    hidden = SparseDense(64, 0.9, **kind, seed=1)
    model = keras.Model(inputs, SparseDense(10, 0.9, seed=2)(hidden(inputs)))
    compiled(model).optimizer.build(model.trainable_variables)
    reallocator = Reallocator(model, methods.RigL(0.3, None))
    reallocator.begin(model.optimizer, 0)
    reallocator.hook.open(0, 1)
    batch = np.ones((2, 56), "float32"), np.zeros(2, "int32")
    largest = largest_tensor(model, batch)
    assert 560 <= largest < 1000  # The last layer is masked.
    # It has looked all the same.
    model.train_step(batch)
    assert reallocator.hook.is_ready(0, 1)
