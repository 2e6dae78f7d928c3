"""Which sets lose units, and how many stay."""

import keras
import numpy as np
import pytest
from absl import logging
from keras import layers

from dsr_tf import models
from dsr_tf.structure import Structure
from dsr_tf.structure.choice.amount import candidates
from dsr_tf.structure.choice.amount import numbers_kept


@pytest.fixture(scope="module")
def structure():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    y = layers.Conv2D(10, 3, padding="same", name="block_a")(x)
    y = layers.Conv2D(4, 3, padding="same", name="block_b")(y)
    x = layers.Flatten()(layers.Add()([x, y]))
    x = layers.Dense(7, name="hidden")(x)
    return Structure(keras.Model(inputs, layers.Dense(2, name="logits")(x)))


def names(sets):
    return [found.name for found in sets]


def test_channels_that_meet_no_others(structure):
    assert names(candidates(structure, "it")) == ["block_a", "hidden"]


def test_kinds_and_filters(structure):
    both = ("inner", "stream")
    assert names(candidates(structure, "it", kinds=both)) == [
        "stem",
        "block_a",
        "hidden",
    ]
    assert names(candidates(structure, "it", "_a$")) == ["block_a"]
    assert names(candidates(structure, "it", ["stem", "hid"])) == ["hidden"]
    # A layer without channels of its own is one all the same.
    assert names(candidates(structure, "it", ["logits", "hid"])) == ["hidden"]
    with pytest.raises(ValueError, match="'x', which is found in the path of"):
        candidates(structure, "it", ["x", "hid"])
    dense = lambda layer: isinstance(layer, layers.Dense)  # noqa: E731
    assert names(candidates(structure, "it", dense)) == ["hidden"]


def test_what_is_left_out_is_told(structure, caplog):
    def reason(found):
        return "it is odd" if found.num_units == 7 else ""

    logging.set_verbosity("info")
    with caplog.at_level("INFO", "absl"):
        found = candidates(structure, "it", reason=reason)
    assert names(found) == ["block_a"]
    assert "`it` keeps all channels of these: hidden (it is odd)" in caplog.text


def test_no_channels_are_refused(structure):
    with pytest.raises(ValueError, match="no channels that `it` can remove.*"):
        candidates(structure, "it", "nothing")
    with pytest.raises(ValueError, match="block_a \\(for a reason\\)"):
        candidates(structure, "it", reason=lambda found: "for a reason")


def test_a_share_of_each(structure):
    sets = candidates(structure, "it")
    assert numbers_kept(structure, sets, 0.5) == {"block_a": 5, "hidden": 3}
    assert numbers_kept(structure, sets, 0.01) == {"block_a": 1, "hidden": 1}
    assert numbers_kept(structure, sets, 1) == {"block_a": 10, "hidden": 7}


def test_shares_by_names(structure):
    sets = candidates(structure, "it")
    assert numbers_kept(structure, sets, {"^block": 0.3}) == {
        "block_a": 3,
        "hidden": 7,
    }
    # The first counts.
    found = numbers_kept(structure, sets, {"hid": 0.9, "": 0.2})
    assert found == {"block_a": 2, "hidden": 6}


def test_equal_shares_under_a_budget(structure):
    sets = candidates(structure, "it")
    whole = structure.cost()
    for what in ("parameters", "macs"):
        budget = getattr(whole, what) // 2
        found = numbers_kept(structure, sets, **{what: budget})
        keep = {
            own.name: np.arange(own.num_units) < found[own.name] for own in sets
        }
        assert getattr(structure.cost(keep), what) <= budget
        a, b = found["block_a"] / 10, found["hidden"] / 7
        # Within a unit of each other.
        assert abs(a - b) < 1 / 7


@pytest.mark.parametrize(
    "share",
    [0, 1.5, True, "half", {"nothing": 0.5}, {"block": 0}, {"(": 0.5}],
)
def test_shares_that_are_refused(structure, share):
    sets = candidates(structure, "it")
    with pytest.raises(ValueError, match="`share` must be a number in"):
        numbers_kept(structure, sets, share)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"share": 0.5, "macs": 9}, {"share": 0.5, "parameters": 9}],
)
def test_share_or_budget(structure, arguments):
    with pytest.raises(ValueError, match="Either `share`, or `parameters`"):
        numbers_kept(structure, candidates(structure, "it"), **arguments)


def test_parameters_of_thinet():
    # The published sizes of ResNet-50: 8.66, 12.38 and 16.94 million.
    structure = Structure(models.MODELS["resnet50"]())
    sets = candidates(structure, "thinet", filters="_conv[12]$")
    assert len(sets) == 32
    for share, parameters in (
        (0.3, 8_665_318),
        (0.5, 12_381_864),
        (0.7, 16_945_246),
    ):
        for given in ({"share": share}, {"parameters": parameters}):
            numbers = numbers_kept(structure, sets, **given)
            keep = {
                own.name: np.arange(own.num_units) < numbers[own.name]
                for own in sets
            }
            assert structure.cost(keep).parameters == parameters


def test_a_refusal_names_layers_that_channels_cannot_pass():
    inputs = keras.Input((4,))
    x = layers.Dense(3, name="hidden")(inputs)
    x = layers.LayerNormalization(name="between")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    message = r"`it` can remove; between \(no rule for LayerNormalization\)"
    with pytest.raises(ValueError, match=message):
        candidates(Structure(model), "it")
    with pytest.raises(ValueError, match="remove. Received: filters='none'"):
        candidates(Structure(model), "it", "none")
