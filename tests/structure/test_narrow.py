"""Narrow models compute what masked ones do, and cost what is said."""

import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import structure
from tests.structure import networks
from tests.structure.networks import NETWORKS
from tests.structure.networks import assert_equal_outputs
from tests.structure.networks import check_narrow


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_narrow_equals_mask(build):
    model = build()
    found, keep, narrowed = check_narrow(model)
    assert found.sets and narrowed.count_params() < model.count_params()
    # All units of a set but one go.
    least = {
        x.name: np.arange(x.num_units) == x.num_units - 1 for x in found.sets
    }
    assert_equal_outputs(
        structure.mask(model, least),
        structure.narrow(model, least),
        networks.inputs_of(model),
    )


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_nothing_to_remove_is_an_equal_copy(build):
    model = networks.shake(build())
    copy = structure.narrow(model, {})
    inputs = networks.inputs_of(model)
    assert_equal_outputs(model, copy, inputs, tolerance=0)
    assert type(copy) is type(model)


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_narrow_twice_is_narrow_once(build):
    model = networks.shake(build())
    first = networks.random_keep(structure.channel_sets(model), seed=1)
    once = structure.narrow(model, first)
    second = networks.random_keep(structure.channel_sets(once), seed=2)
    both = {}
    for name, stays in first.items():
        both[name] = stays.copy()
        both[name][stays] = second[name]
    ours = structure.narrow(once, second).variables
    theirs = structure.narrow(model, both).variables
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))


@pytest.mark.parametrize("build", [networks.residual, networks.sequential])
def test_selections(build):
    model = build()
    found, _, narrowed = check_narrow(model, selections=True)
    selections = [x for x in found.sets if x.kind == "selection"]
    assert selections
    assert not any(x.with_role("out") for x in selections)


def test_selections_of_a_pre_activation_network():
    found = structure.channel_sets(networks.residual(), selections=True)
    names = {x.name for x in found if x.kind == "selection"}
    assert names == {
        "stem/selection",
        "bn0a/selection",
        "bn1a/selection",
        "bn/selection",
    }
    assert {x.name for x in found if x.kind == "stream"} == {
        "stem",
        "shortcut1",
    }


def test_what_has_gone_is_not_selected():
    model = networks.shake(networks.residual())
    keep = {
        "stem": np.arange(6) < 3,
        "bn0a/selection": np.arange(6) % 2 == 0,
    }
    narrowed = structure.narrow(model, keep)
    assert narrowed.get_layer("bn0a").gamma.shape == (2,)
    assert_equal_outputs(
        structure.mask(model, keep), narrowed, networks.inputs_of(model)
    )


def in_two_groupings():
    """Convolutions in four groups and in two, of the same channels."""
    inputs = keras.Input((5, 5, 3))
    x = keras.layers.Conv2D(8, 1, name="first")(inputs)
    y = keras.layers.Conv2D(8, 1, groups=4, name="grouped")(x)
    z = keras.layers.Conv2D(4, 1, groups=2, name="second")(x)
    x = keras.layers.Concatenate()([keras.layers.ReLU()(y), z])
    return keras.Model(inputs, keras.layers.Conv2D(2, 1, name="last")(x))


@pytest.mark.parametrize("build", [networks.grouped, in_two_groupings])
def test_whole_groups(build):
    model = build()
    found, keep, narrowed = check_narrow(model, groups=True)
    (own,) = found.sets
    assert (own.name, own.kind) == ("first/groups", "groups")
    is_larger = build is in_two_groupings
    assert own.num_units == (2 if is_larger else 4)
    left = keep["first/groups"].sum()
    assert 0 < left < own.num_units
    assert narrowed.get_layer("grouped").groups == left * (1 + is_larger)
    # Sets of whole groups go by other names than those across groups.
    plain = structure.channel_sets(model)
    assert not {x.name for x in plain} & keep.keys()


def test_whole_groups_beside_selections():
    """Each in its place, by one choice."""
    inputs = keras.Input((5, 5, 3))
    x = keras.layers.Conv2D(4, 1, name="stem")(inputs)
    y = keras.layers.Conv2D(6, 1, name="first")(x)
    y = keras.layers.Conv2D(6, 1, groups=3, name="grouped")(y)
    x = keras.layers.Add()([x, keras.layers.Conv2D(4, 1)(y)])
    # The sum is of groups as well.
    z = keras.layers.Conv2D(4, 1, groups=2, name="of_stream")(x)
    x = keras.layers.Add()([x, z])
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(x))
    found, _, _ = check_narrow(model, selections=True, groups=True)
    kinds = {x.name: x.kind for x in found.sets}
    assert kinds.pop("first/selection") == "selection"
    assert kinds.pop("first/groups") == "groups"
    assert kinds.pop("stem/groups") == "stream"


def test_files_load_without_the_package(tmp_path):
    """Without and with layers that select channels."""
    model = networks.shake(networks.residual())
    inputs, expected = networks.inputs_of(model), []
    for number, selections in enumerate((False, True)):
        found = structure.Structure(model, selections)
        narrowed = structure.narrow(model, networks.random_keep(found.sets))
        narrowed.save(tmp_path / f"{number}.keras")
        expected.append(np.array(narrowed(inputs)))
    np.save(tmp_path / "inputs.npy", inputs)
    program = (
        "import sys; sys.modules['dsr_tf'] = None; import keras; "
        "import numpy as np; x = np.load('inputs.npy'); "
        "models = [keras.models.load_model(f'{i}.keras') for i in (0, 1)]; "
        "np.savez('outputs.npz', *(np.array(model(x)) for model in models))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    with np.load(tmp_path / "outputs.npz") as found:
        for number, outputs in enumerate(expected):
            np.testing.assert_array_equal(found[f"arr_{number}"], outputs)


def test_a_model_built_thin_costs_the_same():
    def build(first, second):
        inputs = keras.Input((9,))
        x = keras.layers.Dense(first, "relu", name="first")(inputs)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dense(second, "relu", name="second")(x)
        return keras.Model(inputs, keras.layers.Dense(2)(x))

    keep = {"first": np.arange(7) < 4, "second": np.arange(5) < 2}
    cost = structure.cost(build(7, 5), keep)
    assert cost == structure.cost(build(4, 2))
    # By hand: kernels 36, 8 and 4; biases 4, 2 and 2; gamma and beta 8.
    assert cost == structure.Cost(parameters=64, macs=48)


def test_masked_layers_stay_masked():
    model = dsr_tf.sparsify(networks.residual(), 0.5, seed=3)
    found, keep, narrowed = check_narrow(model)
    ours = {w.path: w for w in dsr_tf.masked_weights(narrowed)}
    theirs = {w.path: w for w in dsr_tf.masked_weights(model)}
    assert ours.keys() == theirs.keys()
    weight = ours["conv0a/kernel"]
    rows, columns = keep["stem"], keep["conv0a"]
    expected = np.array(theirs["conv0a/kernel"].mask)[:, :, rows][..., columns]
    np.testing.assert_array_equal(np.array(weight.mask), expected)


@pytest.mark.parametrize("granularity", ["channel", "kernel", "block:1x5"])
def test_granularities(granularity, caplog):
    model = dsr_tf.sparsify(
        networks.residual(),
        0.4,
        granularity=granularity,
        filters="conv",
        seed=1,
    )
    keep = {"conv0a": np.array([True, False, True, True, False])}
    narrowed = structure.narrow(networks.shake(model), keep)
    assert_equal_outputs(
        structure.mask(model, keep), narrowed, networks.inputs_of(model)
    )
    kept = {w.path: w.granularity for w in dsr_tf.masked_weights(narrowed)}
    is_block = granularity.startswith("block")
    expected = "element" if is_block else granularity
    assert kept["conv0a/kernel"] == expected
    # Nothing is silent.
    assert is_block == ("conv0a" in caplog.text)


def test_recurrent_and_attention_layers_stay_masked():
    for build in (networks.recurrent, networks.attention_without_norms):
        model = dsr_tf.sparsify(build(), 0.5, seed=3)
        _, _, narrowed = check_narrow(model)
        ours = [w.path for w in dsr_tf.masked_weights(narrowed)]
        assert ours == [w.path for w in dsr_tf.masked_weights(model)]


def test_optimizer_goes_on():
    model = networks.residual()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    x, y = networks.inputs_of(model), np.ones((3, 4), "float32")
    model.fit(x, y, epochs=2, verbose=0)
    keep = networks.random_keep(structure.channel_sets(model))
    narrowed = structure.narrow(model, keep, optimizer=True)
    assert int(narrowed.optimizer.iterations) == 2
    index = [v.path for v in model.trainable_variables].index("conv0a/kernel")
    before, after = (m.optimizer._momentums[index] for m in (model, narrowed))
    expected = np.array(before)[:, :, keep["stem"]][..., keep["conv0a"]]
    np.testing.assert_array_equal(np.array(after), expected)
    narrowed.fit(x, y, verbose=0)
    fresh = structure.narrow(model, keep)
    assert int(fresh.optimizer.iterations) == 0


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"stem": np.ones(5, "bool")}, "boolean array (6,) for 'stem'"),
        ({"stem": np.ones(6)}, "Received: float64 (6,)"),
        ({"stem": np.zeros(6, "bool")}, "must leave a unit of 'stem'"),
        ({"sten": np.ones(6, "bool")}, "has no set 'sten'"),
    ],
)
def test_refused_choices(keep, message):
    model = networks.residual()
    for function in (structure.narrow, structure.mask, structure.cost):
        with pytest.raises(ValueError, match=re.escape(message)):
            function(model, keep)


def test_a_choice_is_a_dict():
    for function in (structure.narrow, structure.mask, structure.cost):
        with pytest.raises(TypeError, match="`keep` is a dict.*keep=3"):
            function(networks.residual(), 3)


def test_nothing_is_left_to_select():
    keep = {"stem": np.arange(6) < 3, "bn0a/selection": np.arange(6) >= 3}
    for function in (structure.narrow, structure.mask):
        with pytest.raises(ValueError, match="a unit of 'bn0a/selection'"):
            function(networks.residual(), keep)


def test_initial_values_of_one_shape(tmp_path):
    """Tables of words are given so; what is left has another shape."""
    inputs = keras.Input((7,), dtype="int32")
    table = np.random.default_rng(0).normal(size=(9, 6)).astype("float32")
    x = keras.layers.Embedding(
        9, 6, keras.initializers.Constant(table), name="table"
    )(inputs)
    constant = keras.initializers.Constant
    x = keras.layers.LSTM(
        5, bias_initializer=constant(np.ones(20)), unit_forget_bias=False
    )(x)
    x = keras.layers.BatchNormalization(
        gamma_initializer=constant(np.ones(5, "float32"))
    )(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    _, _, narrowed = check_narrow(model)
    narrowed.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    words = networks.inputs_of(model)
    assert_equal_outputs(narrowed, loaded, words, tolerance=0)


class Weighted(keras.regularizers.Regularizer):
    """A regularizer for kernels of one shape."""

    def get_config(self):
        return {}

    def __call__(self, x):
        return keras.ops.sum(x * np.ones((4, 6), "float32"))


class Fixed(keras.constraints.Constraint):
    """A constraint that gives kernels of one shape."""

    def get_config(self):
        return {}

    def __call__(self, x):
        return keras.ops.ones((4, 6))


@pytest.mark.parametrize(
    ("name", "function"),
    [("regularizer", Weighted()), ("constraint", Fixed())],
)
def test_what_holds_for_one_shape_is_told(name, function):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, name="a", **{f"kernel_{name}": function})(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(ValueError, match=f"The {name} .* of a/kernel does not"):
        structure.narrow(model, {"a": np.arange(6) < 3})


def test_no_optimizer_to_go_on_with():
    with pytest.raises(ValueError, match="needs a model that is compiled"):
        structure.narrow(networks.residual(), {}, optimizer=True)


def test_no_graph():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.ones((1, 3)))
    with pytest.raises(ValueError, match="whose graph of layers Keras knows"):
        structure.channel_sets(model)
    with pytest.raises(TypeError, match="Received: model=3"):
        structure.channel_sets(3)
