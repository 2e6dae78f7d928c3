"""What tests of callbacks share: small trainings, by each method."""

import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf import methods
from tests.conftest import needs_tensorflow
from tests.conftest import values

METHODS = {
    "dsr": methods.DSR(15, initial_threshold=0.05),
    "set": methods.SET(0.2),
    "rigl": methods.RigL(0.2, None),
    "snfs": methods.SNFS(0.2, None),
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


def momentum():
    return keras.optimizers.SGD(0.1, momentum=0.9)


def fit(model, data, *callbacks, epochs=2, **arguments):
    """Batches of 8: 20 steps an epoch."""
    return model.fit(
        *data,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks],
        **arguments,
    )


class GatheredGradients(keras.callbacks.Callback):
    """Appends, before step 10 of each epoch, how much the momentum of the
    first kernel's inactive weights holds."""

    def __init__(self, found):
        super().__init__()
        self._found = found

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 10:
            weight = layers.masked_weights(self.model)[0]
            slot = values(self.model.optimizer.momentums[0])
            self._found.append(np.abs(slot[~values(weight.mask)]).sum())


def masks(model):
    return [values(w.mask) for w in layers.masked_weights(model)]


def warnings_of(caplog):
    """What callbacks said that have changed nothing."""
    return [r.message for r in caplog.records if "changed no mask" in r.message]
