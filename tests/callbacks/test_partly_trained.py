"""Models of which only a part is masked, trained, or trained by `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

import dsr_tf
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import Reallocation
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import values

METHODS = {
    "dsr": methods.DSR(15, initial_threshold=0.05),
    "set": methods.SET(0.2),
    "rigl": methods.RigL(0.2),
    "snfs": methods.SNFS(0.2),
    "deep_r": methods.DeepR(1e-3),
}
by_method = pytest.mark.parametrize(
    "method",
    [
        pytest.param(
            method, id=name, marks=needs_tensorflow if name == "deep_r" else ()
        )
        for name, method in METHODS.items()
    ],
)


# Hooks in the step are what such trainings could miss; the rest by hand.
with_hooks = pytest.mark.parametrize(
    "method",
    [
        pytest.param(
            method,
            id=name,
            marks=pytest.mark.slow if name in ("dsr", "set") else (),
        )
        for name, method in METHODS.items()
    ],
)


def sgd():
    return keras.optimizers.SGD(0.1, momentum=0.9)


def fit(model, data, *callbacks, epochs=2):
    """Batches of 8: 20 steps an epoch."""
    return model.fit(
        *data, batch_size=8, epochs=epochs, verbose=0, callbacks=[*callbacks]
    )


def masks(model):
    return [values(w.mask) for w in layers.masked_weights(model)]


@by_method
def test_a_model_with_one_masked_kernel(method, data):
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(20, 0.7, activation="relu", seed=1),
            keras.layers.Dense(3),
        ]
    )
    model.compile(
        sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    before, records = masks(model), []
    fit(model, data, Reallocation(method, 5, seed=0, listener=records.append))
    assert {r.num_active for r in records} == {72}
    assert not np.array_equal(before, masks(model))
    assert_zero_outside_masks(model)


def three_layers(frozen):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(
                20, 0.7, seed=1, name="a", trainable=frozen != "at birth"
            ),
            layers.SparseDense(20, 0.7, activation="relu", seed=2, name="b"),
            layers.SparseDense(3, 0.7, seed=3, name="c"),
        ]
    )
    if frozen == "later":
        model.get_layer("a").trainable = False
    model.compile(
        sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


@by_method
@pytest.mark.parametrize(
    "frozen", [pytest.param("at birth", marks=pytest.mark.slow), "later"]
)
def test_frozen_layers_stay_as_they_are(method, frozen, data):
    model, records = three_layers(frozen), []
    layer = model.get_layer("a")
    before = [values(layer.masked_variable), values(layer.mask)]
    fit(model, data, Reallocation(method, 5, seed=0, listener=records.append))
    assert_same(before, [values(layer.masked_variable), values(layer.mask)])
    assert sum(r.num_grown for r in records) > 0
    # The budget that moves is that of the other two.
    assert {tuple(r.active) for r in records} == {("b/kernel", "c/kernel")}
    assert {r.num_active for r in records} == {120 + 18}
    assert_zero_outside_masks(model)


def test_frozen_layers_are_not_pruned(data):
    model = three_layers("later")
    before = masks(model)
    fit(
        model,
        data,
        GradualPruning(target_sparsity=0.9, sparsity_function_end_step=30),
    )
    after = masks(model)
    assert_same(before[:1], after[:1])
    assert after[1].sum() < before[1].sum()


def test_the_summary_names_frozen_layers(data):
    summary = dsr_tf.sparsity_summary(three_layers("later"))
    assert "Frozen, so nothing moves: a/kernel" in str(summary)
    assert [layer.trainable for layer in summary.layers] == [False, True, True]


def test_a_model_that_is_frozen_as_a_whole_is_refused(data):
    model = make_model()
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    for callback in (
        Reallocation(methods.DSR(15), 5),
        GradualPruning(target_sparsity=0.9),
    ):
        with pytest.raises(ValueError, match="All 2 masked kernels.*frozen"):
            callback.check(model)


def test_sparsify_keeps_frozen_layers_frozen(data):
    model = keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(9), keras.layers.Dense(3)]
    )
    model.layers[0].trainable = False
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    assert [w.trainable for w in dsr_tf.masked_weights(sparse)] == [0, 1]


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
    optimizers = {"generator": sgd(), "critic": sgd()}
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
    model.compile(sgd())
    fit(
        model, data, Reallocation(methods.SET(0.2), 10, listener=records.append)
    )
    assert [r.step for r in records] == [10, 20, 30]
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_a_part_of_a_model_with_one_optimizer(data):
    model, records = Autoencoder(), []
    model.compile(sgd())
    for callback in (
        Reallocation(
            methods.RigL(0.2), 10, listener=records.append, model=model.encoder
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
        fit(model, data, Reallocation(methods.SNFS(0.2), 10))


def train_by_hand(callback, model, optimizer, data, epochs):
    """A loop without `fit`, as README shows it."""
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
    by_fit, by_hand, records = make_model(sgd()), make_model(), []
    period = {0: 5, 1: 10}
    by_fit.fit(
        *data,
        batch_size=8,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=[Reallocation(method, period, seed=0)],
    )
    optimizer = sgd()
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
    model, optimizer, records = make_model(sparsity=0.0), sgd(), []
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
            methods.DeepR(), 10, model=model, optimizer=sgd()
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
