"""RigL and SNFS on models: the gradients that they read, and what grows."""

import keras
import numpy as np
import pytest
from keras import ops

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import gradient_of
from tests.conftest import make_model
from tests.conftest import needs_jax
from tests.conftest import snapshot
from tests.conftest import values

ON_JAX = keras.backend.backend() == "jax"


def sgd(momentum=0.9):
    return keras.optimizers.SGD(0.1, momentum=momentum)


def schedule_free():
    return keras.optimizers.ScheduleFreeAdamW(0.01)


needs_schedule_free = pytest.mark.skipif(
    not hasattr(keras.optimizers, "ScheduleFreeAdamW"),
    reason="this Keras has no ScheduleFreeAdamW",
)


def gradient_of_inactive(model, x, y):
    """The gradient of the loss for every weight, by a tape of its own."""
    weights = layers.masked_weights(model)
    kernels = [keras.Variable(values(w.kernel)) for w in weights]

    def loss():
        hidden = ops.matmul(x, kernels[0]) + values(weights[0].layer.bias)
        logits = ops.matmul(ops.relu(hidden), kernels[1])
        logits += values(weights[1].layer.bias)
        return ops.mean(
            keras.losses.sparse_categorical_crossentropy(
                y, logits, from_logits=True
            )
        )

    return [gradient_of(loss, kernel) for kernel in kernels]


OPTIMIZERS = {
    "plain": (lambda: sgd(0.0), 1),
    "momentum": (sgd, 5),
    "nesterov": (
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        1,
    ),
    "adam": (lambda: keras.optimizers.Adam(0.01), 5),
    "rmsprop": (lambda: keras.optimizers.RMSprop(0.01), 1),
    "adagrad": (lambda: keras.optimizers.Adagrad(0.01), 5),
    "schedule_free": (schedule_free, 1),
}
# At an epoch's end in single steps and in several; the rest by hand.
AT_THE_END = ("nesterov", "adam")


@pytest.mark.parametrize(
    "size, name",
    [
        pytest.param(
            size,
            name,
            marks=[
                *([needs_schedule_free] if name == "schedule_free" else []),
                *(
                    [pytest.mark.slow]
                    if size == 80 and name not in AT_THE_END
                    else []
                ),
            ],
        )
        for size in (120, 80)
        for name in OPTIMIZERS
    ],
)
def test_rigl_grows_where_the_gradient_is_largest(data, name, size):
    """The gradient is that of the step before, on its batch: the 10th.

    Of 80 points it is the last of an epoch.
    """
    x, y = data
    optimizer, steps_per_execution = OPTIMIZERS[name]
    if ON_JAX:
        steps_per_execution = 1  # Others are refused.
    model = make_model(optimizer(), steps_per_execution=steps_per_execution)
    records = []
    callback = Reallocation(
        methods.RigL(0.2, None), period=10, seed=0, listener=records.append
    )
    # Nine steps without, to know the weights at which the tenth is made.
    twin = make_model(optimizer())
    twin.fit(x[:72], y[:72], batch_size=8, shuffle=False, verbose=0)
    expected = gradient_of_inactive(twin, x[72:80], y[72:80])

    masks = [values(w.mask) for w in layers.masked_weights(model)]
    model.fit(
        x[:size],
        y[:size],
        batch_size=8,
        epochs=2 if size == 80 else 1,
        shuffle=False,
        verbose=0,
        callbacks=[callback],
    )
    assert [r.step for r in records] == [10]
    for weight, before, gradient in zip(
        layers.masked_weights(model), masks, expected
    ):
        mask = values(weight.mask)
        grown = mask & ~before
        free = np.abs(np.where(before, -1, gradient))
        free[before] = -1
        assert grown.sum() == records[0].grown[weight.path] > 0
        assert free[grown].min() >= 0.999 * np.sort(free[~grown])[-1]
    assert_zero_outside_masks(model)


@pytest.mark.parametrize(
    "kind, jit_compile",
    [
        (methods.RigL, True),
        (methods.SNFS, ON_JAX),
        pytest.param(methods.RigL, False, marks=pytest.mark.slow),
        pytest.param(methods.SNFS, not ON_JAX, marks=pytest.mark.slow),
    ],
)
def test_inactive_weights_do_not_act(data, kind, jit_compile):
    """With nothing to move, training is that with fixed masks."""

    def train(method):
        model = make_model(sgd(), jit_compile=jit_compile)
        callback = Reallocation(method, period=10, seed=0)
        losses = model.fit(
            *data,
            batch_size=8,
            epochs=2,
            verbose=0,
            shuffle=False,
            callbacks=[callback],
        ).history["loss"]
        assert_zero_outside_masks(model)
        return losses, [values(v) for v in model.trainable_variables]

    tiny = 1e-9  # Rounds to no weight at all.
    losses, weights = train(kind(tiny))
    fixed_losses, fixed_weights = train(methods.Static())
    np.testing.assert_allclose(losses, fixed_losses, rtol=1e-6)
    for a, b in zip(weights, fixed_weights):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", [methods.RigL, methods.SNFS])
def test_slots_afterwards(data, kind):
    """RigL leaves no trace of gradients; SNFS keeps those it leads by."""
    model, steps = make_model(sgd()), []
    callback = Reallocation(
        kind(0.3), period=10, seed=0, listener=lambda r: steps.append(slots())
    )

    def slots():
        found = []
        for weight in layers.masked_weights(model):
            slot = next(
                v
                for v in model.optimizer.variables
                if tuple(v.shape) == tuple(weight.kernel.shape)
            )
            found.append((values(weight.mask), values(slot)))
        return found

    model.fit(*data, batch_size=8, verbose=0, callbacks=[callback])
    for mask, slot in steps[0]:
        assert slot[~mask].any() == (kind is methods.SNFS)


def test_snfs_needs_a_momentum(data):
    model = make_model("sgd")
    callback = Reallocation(methods.SNFS(), period=10)
    with pytest.raises(ValueError, match="SNFS needs.*momentum.*SGD"):
        model.fit(*data, verbose=0, callbacks=[callback])


@needs_schedule_free
def test_weights_are_no_momentum(data):
    model = make_model(schedule_free())
    callback = Reallocation(methods.SNFS(), period=10)
    with pytest.raises(ValueError, match="SNFS needs.*momentum.*ScheduleFree"):
        model.fit(*data, verbose=0, callbacks=[callback])


@pytest.mark.parametrize("kind", [methods.RigL, methods.SNFS])
def test_budget_and_stopping(data, kind):
    model, records = make_model(sgd()), []
    callback = Reallocation(
        kind(0.3, end_step=35), period=10, seed=0, listener=records.append
    )
    model.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=[callback])
    assert [r.step for r in records] == [10, 20, 30]
    assert {r.num_active for r in records} == {90}
    assert records[0].num_grown > records[-1].num_grown > 0
    assert_zero_outside_masks(model)


def fresh(optimizer):
    return make_model(
        sgd() if optimizer == "sgd" else keras.optimizers.Adam(0.01)
    )


def fit_in_order(model, data, first, last, callbacks):
    model.fit(
        *data,
        batch_size=8,
        initial_epoch=first,
        epochs=last,
        verbose=0,
        shuffle=False,
        callbacks=callbacks,
    )


@pytest.mark.parametrize(
    "kind, optimizer", [(methods.RigL, "adam"), (methods.SNFS, "sgd")]
)
def test_goes_on_after_loading(data, tmp_path, kind, optimizer):
    """Split at an epoch's end, between a gradient and its reallocation."""

    def callback():
        return Reallocation(kind(0.3, end_step=70), period=20, seed=0)

    whole, path = fresh(optimizer), tmp_path / "model.keras"
    saving = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch == 1 and whole.save(path)
    )
    fit_in_order(whole, data, 0, 4, [callback(), saving])
    loaded = keras.models.load_model(path)
    fit_in_order(loaded, data, 2, 4, [callback()])
    assert_same(snapshot(whole)[:8], snapshot(loaded)[:8])


@pytest.mark.parametrize(
    "kind, optimizer", [(methods.RigL, "adam"), (methods.SNFS, "sgd")]
)
def test_several_fits_between_begin_and_end_are_one_training(
    data, kind, optimizer
):
    """Split between a gradient and its reallocation, and anywhere."""

    def train(*ends):
        model, first = fresh(optimizer), 0
        callback = Reallocation(
            kind(0.3, end_step=70), period=20, seed=0, model=model
        )
        callback.begin()
        for end in ends:
            fit_in_order(model, data, first, end, [callback])
            first = end
        callback.end()
        return snapshot(model)

    assert_same(train(4), train(1, 2, 4))


def test_a_shorter_period_waits_for_its_gradient(data):
    """At step 20 the period falls from 16 to 5, so 20 is due at once, but
    no gradient was let through before it."""
    model, records = make_model(sgd()), []
    callback = Reallocation(
        methods.RigL(0.3, None),
        period={0: 16, 1: 5},
        seed=0,
        listener=records.append,
    )
    model.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    assert [r.step for r in records] == [16, 25, 30, 35]


def test_training_without_the_callback_afterwards(data):
    model = make_model(sgd())
    callback = Reallocation(methods.SNFS(0.3, None), period=10, seed=0)
    model.fit(*data, batch_size=8, verbose=0, callbacks=[callback])
    window = layers.masked_weights(model)[0].layer.gradient_window
    assert not values(window).any()


@needs_jax
def test_rigl_needs_single_steps_on_jax(data):
    model = make_model(sgd(), steps_per_execution=5)
    callback = Reallocation(methods.RigL(0.2, None), period=10)
    with pytest.raises(ValueError, match="steps_per_execution=1.*jax"):
        model.fit(*data, batch_size=8, verbose=0, callbacks=[callback])
    assert int(model.optimizer.iterations) == 0
