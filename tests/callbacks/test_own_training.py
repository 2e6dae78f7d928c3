"""Trainings that are not one call of `fit`, or not Keras' own step."""

import keras
import numpy as np
import pytest
from keras import ops

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import Reallocation
from tests.callbacks.shared import METHODS
from tests.callbacks.shared import GatheredGradients
from tests.callbacks.shared import fit
from tests.callbacks.shared import masks
from tests.callbacks.shared import momentum
from tests.callbacks.shared import with_hooks
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import values


class Adversary(keras.Model):
    """As a GAN: two parts, two optimizers, a training step of its own."""

    def __init__(self):
        super().__init__()
        self.generator = make_model(sparsity=0.7)
        self.critic = make_model(sparsity=0.5)

    def compile(self, generator_optimizer, critic_optimizer):
        super().compile()
        self.generator_optimizer = generator_optimizer
        self.critic_optimizer = critic_optimizer

    def train_step(self, batch):
        import tensorflow as tf

        x, _ = batch
        # The critic is updated twice as often.
        for part, optimizer, times in (
            (self.generator, self.generator_optimizer, 1),
            (self.critic, self.critic_optimizer, 2),
        ):
            for _ in range(times):
                with tf.GradientTape() as tape:
                    loss = ops.mean(ops.square(part(x) - 1))
                weights = part.trainable_variables
                optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


@needs_tensorflow
@with_hooks
def test_parts_with_optimizers_of_their_own(method, data):
    model, records = Adversary(), {"generator": [], "critic": []}
    optimizers = {"generator": momentum(), "critic": momentum()}
    for name, optimizer in optimizers.items():
        if isinstance(method, methods.DeepR):
            optimizer.build(getattr(model, name).trainable_variables)
    model.compile(*optimizers.values())
    callbacks = [
        Reallocation(
            method,
            period=10,
            seed=0,
            model=getattr(model, name),
            optimizer=optimizers[name],
            listener=records[name].append,
        )
        for name in records
    ]
    fit(model, data, *callbacks)
    # 40 and 80 updates; none after the last.
    assert [r.step for r in records["generator"]] == [10, 20, 30]
    assert [r.step for r in records["critic"]] == [10, 20, 30, 40, 50, 60, 70]
    assert {r.num_active for r in records["generator"]} == {90}
    assert {r.num_active for r in records["critic"]} == {150}
    for name in records:
        assert sum(r.num_grown for r in records[name]) > 0
        assert_zero_outside_masks(getattr(model, name))


@needs_tensorflow
def test_an_optimizer_of_one_part_is_refused_when_it_is_known(data):
    """Before its first step it knows no variables."""
    model = Adversary()
    model.compile(momentum(), momentum())
    callback = Reallocation(
        methods.SET(0.2), 10, optimizer=model.generator_optimizer
    )
    with pytest.raises(ValueError, match="does not train .*kernel"):
        fit(model, data, callback)


class Autoencoder(keras.Model):
    """As a VAE: never called as a whole, so never built as one."""

    def __init__(self):
        super().__init__()
        self.encoder = make_model(sparsity=0.7)
        self.decoder = keras.layers.Dense(12)

    def train_step(self, batch):
        import tensorflow as tf

        x, _ = batch
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(self.decoder(self.encoder(x)) - x))
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


@needs_tensorflow
def test_a_training_step_of_ones_own(data):
    model, records = Autoencoder(), []
    model.compile(momentum())
    fit(
        model, data, Reallocation(methods.SET(0.2), 10, listener=records.append)
    )
    assert [r.step for r in records] == [10, 20, 30]
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_a_part_of_a_model_with_one_optimizer(data):
    model, records = Autoencoder(), []
    model.compile(momentum())
    for callback in (
        Reallocation(
            methods.RigL(0.2, None),
            10,
            listener=records.append,
            model=model.encoder,
        ),
        GradualPruning(
            target_sparsity=0.9,
            pruning_frequency=10,
            sparsity_function_end_step=60,
            listener=records.append,
            model=model.encoder,
        ),
    ):
        fit(model, data, callback)
    assert [r.step for r in records] == [10, 20, 30, 40, 50, 60, 70]
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_a_missing_momentum_shows_at_the_first_reallocation(data):
    """Before, the optimizer of such a model knows no variables."""
    model = Autoencoder()
    model.compile(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="SNFS needs.*momentum.*SGD"):
        fit(model, data, Reallocation(methods.SNFS(0.2, None), 10))


def train_by_hand(callback, model, optimizer, data, epochs):
    """A loop without `fit`, as docs/loops.md shows it."""
    import tensorflow as tf

    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)

    callback.begin()
    for epoch in range(epochs):
        for batch in batches:
            callback.before_step(epoch)
            train_step(*batch)
    callback.end()


@needs_tensorflow
@with_hooks
def test_a_loop_without_fit_does_what_fit_does(method, data):
    by_fit, by_hand, records = make_model(momentum()), make_model(), []
    period = {0: 5, 1: 10}
    by_fit.fit(
        *data,
        batch_size=8,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=[Reallocation(method, period, seed=0)],
    )
    optimizer = momentum()
    if isinstance(method, methods.DeepR):
        optimizer.build(by_hand.trainable_variables)
    callback = Reallocation(
        method,
        period,
        seed=0,
        model=by_hand,
        optimizer=optimizer,
        listener=records.append,
    )
    train_by_hand(callback, by_hand, optimizer, data, 2)
    assert [r.step for r in records] == [5, 10, 15, 20, 30]
    assert_same(masks(by_fit), masks(by_hand))
    assert_zero_outside_masks(by_hand)


@needs_tensorflow
def test_pruning_in_a_loop_without_fit(data):
    model, optimizer, records = make_model(sparsity=0.0), momentum(), []
    callback = GradualPruning(
        target_sparsity=0.8,
        pruning_frequency=10,
        sparsity_function_end_step=30,
        model=model,
        optimizer=optimizer,
        listener=records.append,
    )
    train_by_hand(callback, model, optimizer, data, 2)
    assert [r.step for r in records] == [10, 20, 30]
    assert records[-1].num_active == 60


def test_a_loop_must_begin(data):
    model = make_model()
    callback = Reallocation(methods.SET(), 10, model=model)
    with pytest.raises(RuntimeError, match="begin.*before"):
        callback.before_step()
    with pytest.raises(ValueError, match="give `model=`"):
        Reallocation(methods.SET(), 10).begin()
    if keras.backend.backend() == "tensorflow":
        callback = Reallocation(
            methods.DeepR(), 10, model=model, optimizer=momentum()
        )
        with pytest.raises(ValueError, match="DeepR needs.*build"):
            callback.begin()
    bare = keras.Sequential([keras.Input((4,)), layers.SparseDense(2)])
    with pytest.raises(ValueError, match="needs the optimizer"):
        Reallocation(methods.SET(), 10, model=bare).begin()
    with pytest.raises(TypeError, match="`model` must be.*Received: model=3"):
        Reallocation(methods.SET(), 10, model=3)
    with pytest.raises(TypeError, match="Received: optimizer='sgd'"):
        Reallocation(methods.SET(), 10, optimizer="sgd")


def test_an_optimizer_of_another_model_is_refused(data):
    model, other = make_model(), make_model()
    other.optimizer.build(other.trainable_variables)
    callback = Reallocation(methods.SET(), 10, optimizer=other.optimizer)
    with pytest.raises(ValueError, match="does not train .*a/kernel"):
        fit(model, data, callback)


@needs_tensorflow
def test_freezing_and_compiling_anew_between_fits_of_one_training(data):
    model, records = make_model(momentum()), []
    callback = Reallocation(
        METHODS["rigl"], 10, seed=0, model=model, listener=records.append
    )
    callback.begin()
    fit(model, data, callback, epochs=1)
    model.get_layer("a").trainable = False
    model.compile(
        momentum(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    frozen = values(model.get_layer("a").mask)
    grown_by = []
    callback.listener = lambda record: (
        records.append(record),
        grown_by.append(record.grown),
    )
    fit(model, data, callback, epochs=2)
    callback.end()
    assert_same([frozen], [values(model.get_layer("a").mask)])
    assert len(grown_by) == 3
    assert all(set(grown) == {"b/kernel"} for grown in grown_by)
    assert sum(g["b/kernel"] for g in grown_by) > 0
    fit(model, data, epochs=1)
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_rigl_sees_gradients_of_a_new_optimizer(data):
    """In the same training: the gate must ask the one that counts now."""
    model, free = make_model(momentum()), []
    callback = Reallocation(METHODS["rigl"], 10, seed=0, model=model)
    callback.begin()
    fit(model, data, callback, epochs=1)
    model.compile(
        momentum(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )

    fit(model, data, GatheredGradients(free), callback, epochs=1)
    callback.end()
    assert free[0] > 0


@needs_tensorflow
def test_deep_r_keeps_weights_that_are_loaded_as_training_begins(data):
    model, other = make_model(momentum()), make_model(momentum())
    fit(other, data, epochs=2)
    # The same masks, and signs that are all the other way round.
    for weight in layers.masked_weights(other):
        weight.kernel.assign(-values(weight.kernel))
    loaded = other.get_weights()

    def total():
        return sum(
            np.abs(values(w.kernel)).sum() for w in layers.masked_weights(model)
        )

    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: model.set_weights(loaded)
    )
    deep_r = Reallocation(methods.DeepR(1e-9), 10, seed=0)
    x, y = data
    model.fit(x[:8], y[:8], batch_size=8, verbose=0, callbacks=[deep_r, load])
    assert total() > 5
    held = Reallocation(methods.DeepR(1e-9), 10, seed=0, model=model)
    held.begin()
    model.set_weights(
        [-w if w.dtype == "float32" else w for w in model.get_weights()]
    )
    held.before_step()
    model.fit(x[:8], y[:8], batch_size=8, verbose=0, callbacks=[held])
    held.end()
    assert total() > 5
