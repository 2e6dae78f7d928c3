"""PFA removes units that others make up for."""

import keras
import numpy as np
import pytest
from keras import layers

from dsr_tf import structure
from dsr_tf.structure.methods.pfa import pfa
from dsr_tf.structure.statistics import probe
from dsr_tf.structure.statistics import spectrum
from tests.conftest import values


def widths(model):
    return [found.num_units for found in structure.channel_sets(model)]


@pytest.fixture(scope="module")
def covariances(trained):
    wanted = [trained.model.get_layer(n) for n in ("first", "second", "hidden")]
    found = probe.responses(trained.model, wanted, trained.x)
    return [own.covariance for own in found]


def test_numbers_by_divergence(trained, covariances):
    narrow = pfa(trained.model, trained.x)
    expected = [
        int(np.ceil(len(c) * spectrum.spectrum_share(c))) for c in covariances
    ]
    assert widths(narrow) == expected
    assert sum(expected) < 60
    # All are chosen in the network as it is, and none is changed.
    keep = {
        own.name: spectrum.most_correlated(c, number)
        for own, c, number in zip(
            structure.channel_sets(trained.model), covariances, expected
        )
    }
    same = structure.narrow(trained.model, keep)
    for ours, theirs in zip(narrow.variables, same.variables, strict=True):
        np.testing.assert_array_equal(values(ours), values(theirs))


def test_numbers_by_energy(trained, covariances):
    narrow = pfa(trained.model, trained.x, energy=0.9)
    for width, c in zip(widths(narrow), covariances):
        energies = np.sort(np.linalg.eigvalsh(c))[::-1]
        shares = np.cumsum(energies) / energies.sum()
        assert shares[width - 1] >= 0.9
        assert width == 1 or shares[width - 2] < 0.9


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_share_of_all_units_together(trained, share):
    narrow = pfa(trained.model, trained.x, share=share)
    assert abs(sum(widths(narrow)) - share * 60) <= 1


def test_budgets(trained):
    whole = structure.cost(trained.model)
    narrow = pfa(trained.model, trained.x, parameters=whole.parameters // 2)
    assert structure.cost(narrow).parameters <= whole.parameters // 2
    narrow = pfa(trained.model, trained.x, macs=whole.macs // 2, multiple_of=4)
    assert structure.cost(narrow).macs <= whole.macs // 2
    assert all(width % 4 == 0 for width in widths(narrow))


def test_of_equal_units_one_stays():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, "relu", name="hidden"),
            layers.Dense(2, name="out"),
        ]
    )
    kernel = np.random.default_rng(0).normal(size=(4, 3))
    # Units 3 to 5 are multiples of the first three.
    kernel = np.concatenate([kernel, kernel * [1, 2, 3]], axis=1)
    model.get_layer("hidden").set_weights([kernel, np.zeros(6)])
    x = np.random.default_rng(1).normal(size=(50, 4)).astype("float32")
    narrow = pfa(model, x, share=0.5, rule="abs")
    stays = values(narrow.get_layer("hidden").kernel)
    assert stays.shape == (4, 3)
    stays = stays / np.linalg.norm(stays, axis=0)
    # No two of them are multiples.
    assert (stays.T @ stays - np.eye(3) < 0.999).all()


def test_silent_units_go():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, "relu"), layers.Dense(2)]
    )
    kernel = np.random.default_rng(0).normal(size=(4, 3))
    kernel[:, 1] = 0
    model.layers[0].set_weights([kernel, np.zeros(3)])
    x = np.random.default_rng(1).normal(size=(50, 4)).astype("float32")
    narrow = pfa(model, x, energy=1.0)
    np.testing.assert_allclose(
        narrow.layers[0].kernel, kernel[:, [0, 2]], rtol=1e-6
    )


def test_streams_and_gates_keep_their_units():
    inputs = keras.Input((5, 3))
    x = layers.LSTM(4, return_sequences=True, name="lstm")(inputs)
    a = layers.Dense(4, name="a")(x)
    x = layers.Add()([a, layers.Dense(4, name="b")(x)])
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(6, name="hidden")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(20, 5, 3)).astype("float32")
    narrow = pfa(model, x, share=0.5, pool="mean")
    assert narrow.get_layer("lstm").units == 4
    assert narrow.get_layer("a").units == 4
    assert narrow.get_layer("hidden").units == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"energy": 0.9, "share": 0.5}, "At most one of"),
        ({"share": 0.5, "macs": 9}, "At most one of"),
        ({"energy": 0.0}, "`energy` must be"),
        ({"share": "half"}, "`share` must be"),
        ({"rule": "max"}, "`rule` must be"),
        ({"pool": "sum"}, "`pool` must be"),
        ({"parameters": 3}, "`parameters` must be at least"),
    ],
)
def test_what_is_refused(trained, arguments, message):
    with pytest.raises(ValueError, match=message):
        pfa(trained.model, trained.x[:40], **arguments)


def test_fewer_examples_than_units_are_refused(trained):
    with pytest.raises(ValueError, match="32 in 'hidden'. Received: 20"):
        pfa(trained.model, trained.x[:20])
