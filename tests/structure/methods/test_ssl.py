"""Groups of zeros go, and under a budget the smallest ones as well."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf import structure
from dsr_tf.structure.methods.ssl import ssl
from tests.conftest import values
from tests.structure import networks
from tests.structure.networks import assert_equal_outputs


def clear(model, name, *index):
    """Set a part of a kernel to 0."""
    kernel = model.get_layer(name).kernel
    array = np.array(values(kernel))
    array[index] = 0
    kernel.assign(array)


def chain():
    """Three inputs, four units, three units, two outputs."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, "relu", name="a"),
            layers.Dense(3, "relu", name="b"),
            layers.Dense(2, name="c"),
        ]
    )
    return networks.shake(model)


def units(model):
    return [x.kernel.shape[0] for x in model.layers if hasattr(x, "kernel")]


def test_filters_channels_and_inputs_that_are_zeros_go():
    model = chain()
    clear(model, "a", slice(None), 1)  # a filter, whose bias gives a constant
    clear(model, "b", 2)  # what reads a channel
    clear(model, "a", 0)  # an input
    smaller = ssl(model)
    assert units(smaller) == [2, 2, 3]
    assert_equal_outputs(model, smaller, networks.inputs_of(model))
    assert units(ssl(model, selections=False)) == [3, 2, 3]


def test_nothing_to_remove(caplog):
    model = chain()
    assert structure.cost(ssl(model)) == structure.cost(model)
    assert "nothing in model" in caplog.text


def test_branches_that_let_nothing_through():
    model = networks.shake(networks.residual())
    clear(model, "conv1b", ...)
    smaller = ssl(model)
    assert "conv1a" not in [x.name for x in smaller.layers]
    assert_equal_outputs(model, smaller, networks.inputs_of(model))
    # Of this one a constant is lost.
    clear(model, "conv0a", ...)
    names = [x.name for x in structure.branches(model)]
    assert structure.zero_branches(model) == names
    assert structure.branches(ssl(model)) == []


def test_borders_of_windows_go():
    model = networks.shake(networks.residual())
    clear(model, "conv1a", slice(2))
    smaller = ssl(model)
    assert smaller.get_layer("conv1a").kernel_size == (1, 3)
    assert_equal_outputs(model, smaller, networks.inputs_of(model))


def budgets():
    """Norms of units by hand: what makes them, and what reads them."""
    model = chain()
    a, b, c = (model.get_layer(name) for name in "abc")
    a.kernel.assign(np.eye(3, 4) * 2 + np.array([0, 0, 0, 1.0]))
    b.kernel.assign(np.outer([4, 0.5, 3, 2], [1, 0, 0]) + 0.01)
    c.kernel.assign(np.array([[5.0, 0], [0.02, 0], [0, 0]]))
    return model


def test_the_smallest_norms_go_under_a_budget():
    """Unit 2 of `b` is 0; then come 1 of `b`, and of `a` 1."""
    model = budgets()
    assert units(ssl(model)) == [3, 4, 2]
    whole = structure.cost(ssl(model)).parameters
    smaller = ssl(model, parameters=whole)
    assert units(smaller) == [3, 4, 2]
    # A unit of `b` has 4 weights, a bias, and 2 that read it.
    smaller = ssl(model, parameters=whole - 1)
    assert units(smaller) == [3, 4, 1]
    assert values(smaller.get_layer("c").kernel).tolist() == [[5, 0]]
    smaller = ssl(model, parameters=whole - 8, selections=False)
    assert units(smaller) == [3, 3, 1]
    kept = values(smaller.get_layer("a").kernel)
    np.testing.assert_array_equal(
        kept, values(model.get_layer("a").kernel)[:, [0, 2, 3]]
    )
    assert units(ssl(model, macs=12 + 8 + 4)) == [3, 4, 2]
    assert units(ssl(model, macs=12 + 8 + 3)) == [3, 4, 1]


def test_shares():
    model = budgets()
    # Of ten units, three of them inputs.
    assert sum(units(ssl(model, share=0.8))) == 8
    assert sum(units(ssl(model, share=1))) == 9
    smaller = ssl(model, share={"^b$": 1, "selection": 0.5, "": 0.5})
    assert units(smaller) == [1, 2, 2]
    with pytest.raises(ValueError, match="`share` must be a number"):
        ssl(model, share=1.5)


def test_a_penalty_makes_zeros_that_go(trained):
    """Training, with the penalty as the paper has it."""
    penalties = structure.group_penalties(trained.model, 0.03)
    assert sorted(penalties) == [
        *("^first/kernel$", "^hidden/kernel$", "^logits/kernel$"),
        "^second/kernel$",
    ]
    granularities = {
        name: [p.granularity.name for p in each.regularizers]
        for name, each in penalties.items()
    }
    # No class can vanish.
    assert granularities["^logits/kernel$"] == ["input"]
    assert granularities["^second/kernel$"] == ["channel", "input"]
    below = dsr_tf.constraints.ZeroBelow(4e-3)
    model = dsr_tf.regularize(trained.model, penalties, {".": below})
    model.compile(
        keras.optimizers.SGD(0.02, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(trained.x, trained.y, batch_size=64, epochs=8, verbose=0)
    smaller = ssl(model)
    assert structure.cost(smaller).parameters < (
        0.8 * structure.cost(model).parameters
    )
    loss, accuracy = model.evaluate(trained.test_x, trained.test_y, verbose=0)
    assert accuracy > 0.9
    found = smaller.predict(trained.test_x, verbose=0)
    expected = model.predict(trained.test_x, verbose=0)
    # But at borders, where constants are folded.
    assert (found.argmax(-1) == expected.argmax(-1)).mean() > 0.98


def test_penalties_of_parts():
    model = networks.residual()
    found = structure.group_penalties(model, 0.1, ["layer"])
    # Neither the stem, nor the shortcut, nor the logits.
    assert [name[1:6] for name in found] == ["conv0", "conv0", "conv1", "conv1"]
    found = structure.group_penalties(model, 0.1, ["shape"], filters="conv0")
    assert len(found) == 2
    with pytest.raises(ValueError, match="has no 'layer'"):
        structure.group_penalties(chain(), 0.1, ["layer"])
    for wrong in ([], ["element"]):
        with pytest.raises(ValueError, match="must be some of channel, input"):
            structure.group_penalties(model, 0.1, wrong)
