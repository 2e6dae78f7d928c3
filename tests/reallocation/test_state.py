"""What methods keep in a model, by name."""

import dataclasses

import keras
import pytest

import dsr_tf
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.methods import prune
from dsr_tf.reallocation.state import ReallocationState
from tests.conftest import make_model


@dataclasses.dataclass(frozen=True)
class Counting(methods.Method):
    """Counts its reallocations by three."""

    factor: int = 3

    state_names = ("times", "last")

    def prune(self, kernels, state, step):
        state.method_state["times"] += self.factor
        state.method_state["last"] = -step
        return [prune.none(kernel.scores) for kernel in kernels]


class Greedy(Counting):
    state_names = ("a", "b", "c", "d")


def fit(model, data, method, **arguments):
    callback = Reallocation(method, 5, seed=0)
    model.fit(*data, batch_size=8, verbose=0, callbacks=[callback], **arguments)


def kept(model, method):
    masked = dsr_tf.masked_weights(model)
    return dict(ReallocationState.read(masked, method).method_state)


def test_a_method_finds_what_it_kept(data, tmp_path):
    model = make_model()
    fit(model, data, Counting())
    assert kept(model, Counting()) == {"times": 9, "last": -15}
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    fit(loaded, data, Counting(), epochs=2, initial_epoch=1)
    assert kept(loaded, Counting()) == {"times": 21, "last": -35}


def test_another_method_does_not_see_it(data):
    model = make_model()
    fit(model, data, Counting())
    assert kept(model, methods.DSR()) == {}
    fit(model, data, methods.SET(0.3))
    assert kept(model, Counting()) == {"times": 9, "last": -15}
    fit(model, data, methods.DSR(5))
    assert kept(model, Counting()) == {}


def test_too_many_names_are_refused(data):
    model = make_model()
    with pytest.raises(ValueError, match="up to 3 integers.*'d'.*Greedy"):
        fit(model, data, Greedy())
    assert int(model.optimizer.iterations) == 0


def test_integers_of_32_bits(data):
    model = make_model()
    with pytest.raises(ValueError, match="32 bits.*'times': 4294967296"):
        fit(model, data, Counting(2**32))
