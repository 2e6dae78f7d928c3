"""What NeST refuses, and what it says if nothing has changed."""

import keras
import pytest

from dsr_tf import growth
from dsr_tf import layers
from dsr_tf.callbacks import GrowAndPrune
from tests.callbacks.shared import fit
from tests.callbacks.shared import warnings_of
from tests.callbacks.test_grow_and_prune import seedling


def test_what_does_not_fit(data):
    with pytest.raises(TypeError, match="`data` must be a tuple .x, y"):
        GrowAndPrune(data[0])
    with pytest.raises(ValueError, match="`metric` must be a Keras metric"):
        GrowAndPrune(data, metric="loss of weight")
    with pytest.raises(ValueError, match="target by name, hyperparameters="):
        GrowAndPrune(data, growth.GrowthHyperparameters(), target=1)
    model = keras.Sequential(
        [keras.Input((12,)), layers.SparseDense(8, 0.5, "2:4", name="a")]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must be 'element'.*a/kernel"):
        GrowAndPrune(data).check(model)
    plain = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no masked layers.*sparsify"):
        GrowAndPrune(data).check(plain)


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"frequency": 50}, "ended at update 20 before any: they are due ev"),
        (
            {"frequency": 5, "grow_steps": 0, "target": 2},
            "nothing to grow, and the metric was below the target of 2",
        ),
        ({"frequency": 5, "grow_steps": 0, "end": 5}, "it is over, of 64 act"),
    ],
    ids=["early", "below", "over"],
)
def test_a_callback_that_changed_nothing_says_why(
    settings, reason, data, caplog
):
    fit(seedling(), data, GrowAndPrune(data, **settings), epochs=1)
    (message,) = warnings_of(caplog)
    assert message.startswith("GrowAndPrune changed no mask")
    assert reason in message
