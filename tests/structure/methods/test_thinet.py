"""ThiNet on networks that have learnt something, and on awkward ones."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf import structure
from dsr_tf.structure.choice import choose
from dsr_tf.structure.choice import scores
from dsr_tf.structure.methods.l1_filters import l1_filters
from dsr_tf.structure.methods.thinet import thinet
from dsr_tf.structure.statistics import probe
from dsr_tf.structure.statistics import solvers
from tests.conftest import values

RULES = ["discard", "keep"]
# The default in CI, that of the later code by hand.
by_rule = pytest.mark.parametrize(
    "rule", ["discard", pytest.param("keep", marks=pytest.mark.slow)]
)


def test_less_is_missed_than_by_small_filters_or_at_random(trained):
    for found in structure.channel_sets(trained.model):
        seen, unseen = (
            probe.contributions(
                trained.model, found.with_role("in"), x, seed=seed
            )[0]
            for x, seed in ((trained.x, 0), (trained.test_x, 1))
        )
        number = found.num_units // 2
        shuffled = np.random.default_rng(0).permutation(found.num_units)

        def mended(kept, seen=seen, unseen=unseen):
            return unseen.error(solvers.rescale(seen.gram, seen.b, kept))

        discard = solvers.greedy_discard(seen.gram, number)
        keep = solvers.greedy_keep(seen.gram, seen.b, number)
        by_norm = choose.largest(scores.norm(found), number)
        for other in (by_norm, shuffled < number):
            # As they are, and with what makes up for those that went.
            assert unseen.error(discard) < unseen.error(other)
            assert mended(discard) < mended(other)
        assert mended(discard) < unseen.error(discard)
        assert mended(keep) < mended(shuffled < number)
        # Where many units make few outputs, keeping the best one by one can
        # end up behind, depending on the network.
        if found.name != "hidden":
            assert mended(keep) < mended(by_norm)


@by_rule
def test_the_network_still_knows_digits(trained, rule):
    whole = trained.accuracy(trained.model)
    narrow = thinet(trained.model, trained.x, 0.5, rule=rule, seed=0)
    by_norm = l1_filters(trained.model, share=0.5)
    assert [s.num_units for s in structure.channel_sets(narrow)] == [6, 8, 16]
    assert whole > 0.9
    assert trained.accuracy(narrow) > trained.accuracy(by_norm)
    # The model itself is as it was.
    assert trained.accuracy(trained.model) == whole


@by_rule
def test_each_layer_is_looked_at_in_what_is_left(trained, rule):
    solve = {
        "discard": lambda own, n: solvers.greedy_discard(own.gram, n),
        "keep": lambda own, n: solvers.greedy_keep(own.gram, own.b, n),
    }[rule]
    arguments = {"num_places": 3, "num_batches": 5, "seed": 7}
    current = trained.model
    for index in range(3):
        found = structure.channel_sets(current)[index]
        (own,) = probe.contributions(
            current, found.with_role("in"), trained.x, **arguments
        )
        kept = solve(own, found.num_units // 2)
        weights = solvers.rescale(own.gram, own.b, kept)[kept]
        current = structure.narrow(current, {found.name: kept})
        (reader,) = structure.channel_sets(current)[index].with_role("in")
        kernel = values(reader.variable)
        scaled = np.ones(kernel.shape[-2])
        scaled[reader.positions] = weights[:, None]
        reader.variable.assign(kernel * scaled[:, None])
    narrow = thinet(trained.model, trained.x, 0.5, rule=rule, **arguments)
    for ours, theirs in zip(narrow.variables, current.variables, strict=True):
        np.testing.assert_allclose(values(ours), values(theirs), rtol=1e-5)


def test_seeds(trained):
    def kernels(seed):
        narrow = thinet(trained.model, trained.x, 0.5, num_batches=3, seed=seed)
        return narrow.get_weights()

    first, again, other = kernels(1), kernels(1), kernels(2)
    assert all(map(np.array_equal, first, again))
    assert not all(
        a.shape == b.shape and np.array_equal(a, b)
        for a, b in zip(first, other)
    )


def test_training_after_each_layer(trained):
    seen = []

    def train(model):
        seen.append([s.num_units for s in structure.channel_sets(model)])
        model.fit(trained.x, trained.y, epochs=1, batch_size=64, verbose=0)

    narrow = thinet(
        trained.model, trained.x, 0.5, num_batches=5, after_each=train
    )
    assert seen == [[6, 16, 32], [6, 8, 32], [6, 8, 16]]
    assert trained.accuracy(narrow) > 0.85


def test_a_budget(trained, tmp_path):
    whole = structure.cost(trained.model)
    narrow = thinet(
        trained.model, trained.x, macs=whole.macs // 3, num_batches=5
    )
    left = structure.cost(narrow).macs
    assert left <= whole.macs // 3 < 1.3 * left
    narrow.save(tmp_path / "narrow.keras")
    loaded = keras.saving.load_model(tmp_path / "narrow.keras")
    np.testing.assert_array_equal(
        loaded.predict(trained.test_x, verbose=0),
        narrow.predict(trained.test_x, verbose=0),
    )


def test_batches_of_a_data_set(trained):
    def batches():
        return ((trained.x[i : i + 32], None) for i in (0, 32))

    with pytest.raises(ValueError, match="can be read only once"):
        thinet(trained.model, batches(), 0.5)

    class Again:
        def __iter__(self):
            return batches()

    narrow = thinet(trained.model, Again(), 0.5, seed=0)
    same = thinet(trained.model, trained.x[:64], 0.5, seed=0)
    np.testing.assert_array_equal(
        narrow.layers[-1].kernel, same.layers[-1].kernel
    )


def depthwise():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, name="expand")(inputs)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(layers.ReLU()(x))
    return keras.Model(inputs, layers.Conv2D(4, 1, name="project")(x))


def two_readers():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="both")(inputs)
    a = layers.Conv2D(4, 3)(x)
    b = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, [a, b])


def nested():
    inner = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(8, 3, name="inner")]
    )
    inputs = keras.Input((6, 6, 3))
    return keras.Model(inputs, layers.Conv2D(4, 3)(inner(inputs)))


def masked():
    return dsr_tf.sparsify(depthwise(), 0.5, seed=0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("make", [depthwise, two_readers, nested, masked])
def test_networks_of_all_kinds(make, rule):
    model = make()
    x = np.random.default_rng(0).normal(size=(40, 6, 6, 3))
    x = x.astype("float32")
    narrow = thinet(model, x, share=0.75, rule=rule, seed=0)
    (found,) = structure.channel_sets(narrow)
    assert found.num_units == 6
    # It computes most of what it did.
    outputs, expected = (
        np.concatenate([values(y).ravel() for y in keras.tree.flatten(m(x))])
        for m in (narrow, model)
    )
    left = np.sum((outputs - expected) ** 2) / np.sum(expected**2)
    assert left < 0.35


def test_layers_that_cannot_be_read_keep_their_channels():
    inputs = keras.Input((5, 3))
    x = layers.Conv1D(6, 2, name="read_by_lstm")(inputs)
    x = layers.Dense(8, name="hidden")(layers.LSTM(4)(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(30, 5, 3)).astype("float32")
    narrow = thinet(model, x, share=0.5, filters="read|hidden", seed=0)
    assert narrow.get_layer("read_by_lstm").filters == 6
    assert narrow.get_layer("hidden").units == 4
    with pytest.raises(ValueError, match="type LSTMCell reads them"):
        thinet(model, x, share=0.5, filters="read")


def test_what_is_refused(trained):
    with pytest.raises(ValueError, match="`rule` must be one of discard, keep"):
        thinet(trained.model, trained.x, 0.5, rule="best")
    with pytest.raises(ValueError, match="Either `share`"):
        thinet(trained.model, trained.x)
    with pytest.raises(ValueError, match="`seed` must be"):
        thinet(trained.model, trained.x, 0.5, seed=1.5)
    with pytest.raises(TypeError, match="`data` must be"):
        thinet(trained.model, None, 0.5)
