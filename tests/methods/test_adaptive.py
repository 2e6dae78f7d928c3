"""A method of chosen parts: which go, where growth goes, what grows."""

import itertools

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.methods.adaptive import REDISTRIBUTIONS
from dsr_tf.methods.adaptive import SCOPES
from dsr_tf.methods.grow import SCORES
from dsr_tf.methods.method import KernelView
from dsr_tf.reallocation.reallocator import Reallocator
from dsr_tf.reallocation.state import ReallocationState
from tests.conftest import assert_zero_outside_masks


def views(**arguments):
    return [
        KernelView(
            np.array([0.1, 0.5, 0.3, 0.4], "float32"), 9, 1, **arguments
        ),
        KernelView(np.array([0.2, 0.9], "float32"), 9, 1, **arguments),
    ]


def prune(step=0, **arguments):
    method = methods.Adaptive(0.5, 100, **arguments)
    chosen = method.prune(views(), ReallocationState(), step)
    return [c.astype(int).tolist() for c in chosen]


def test_of_what_the_smallest_go():
    assert prune(scope="model") == [[1, 0, 1, 0], [1, 0]]
    assert prune(scope="kernel") == [[1, 0, 1, 0], [1, 0]]
    # 0.01/0.51, 0.25/0.25, 0.09/0.50, 0.16/0.41; 0.04/0.85, 1.
    assert prune(scope="lamp") == [[1, 0, 1, 0], [1, 0]]
    # Half as many half way, and none at the end.
    assert prune(50, scope="model") == [[1, 0, 0, 0], [1, 0]]
    assert prune(50, scope="kernel") == [[1, 0, 0, 0], [0, 0]]
    assert prune(100) == [[0, 0, 0, 0], [0, 0]]
    assert methods.Adaptive(0.5, 100).is_over(100)


def lamp_by_hand(weights):
    squares = weights.astype("float64") ** 2
    return [s / squares[squares >= s].sum() for s in squares]


@pytest.mark.parametrize("scope", ["model", "lamp"])
def test_those_that_go_are_the_smallest_also_where_there_is_little_room(scope):
    """As many as can grow again, in the order that they were chosen in."""
    sizes = [(10, 20), (20, 4)]
    model = keras.Sequential([keras.Input((10,))])
    for _, units in sizes:
        model.add(dsr_tf.layers.SparseDense(units, 0.1, seed=units))
    model.compile("sgd", "mse")
    method = methods.Adaptive(0.3, None, scope=scope, growth="random")
    reallocator = Reallocator(model, method)
    generator = np.random.default_rng(0)
    for step in range(3):
        scores, largest = [], []
        for weight, scale in zip(reallocator.masked, (1, 100)):
            kernel = scale * generator.normal(size=weight.mask.shape)
            weight.kernel.assign(kernel)
            weight.set_mask(np.array(weight.mask))
            active = np.abs(np.array(weight.kernel)[np.array(weight.mask)])
            largest += [*(active == active.max())]
            scores += [*(lamp_by_hand(active) if scope == "lamp" else active)]
        order = [i for i in np.argsort(scores) if not largest[i]]
        wanted = order[: min(round(0.3 * len(scores)), 280 - len(scores))]
        before = [np.array(w.mask) for w in reallocator.masked]
        record = reallocator.step(model.optimizer, step)
        gone = [
            ~np.array(weight.mask)[mask]
            for weight, mask in zip(reallocator.masked, before)
        ]
        found = np.flatnonzero(np.concatenate(gone))
        assert found.tolist() == sorted(wanted)
        assert record.num_active == len(scores)


def test_where_growth_goes():
    shares = {}
    for redistribution in REDISTRIBUTIONS:
        kernels = [
            KernelView(np.ones(n), 99, 1, p, np.full(n, m))
            for n, p, m in ((40, 10, 1.0), (20, 0, 4.0))
        ]
        method = methods.Adaptive(redistribution=redistribution)
        shares[redistribution] = method.redistribute(10, kernels)
    # 30 and 20 have survived; means of 1 and 4; 10 and 0 were pruned.
    assert shares == {
        "survivors": [6, 4],
        "momentum": [2, 8],
        "pruned": [10, 0],
    }


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"scope": "layer"}, "`scope` must be one of model, lamp, kernel"),
        ({"redistribution": "none"}, "`redistribution` must be one of surv"),
        ({"growth": "fast"}, "`growth` must be one of random"),
        ({"fraction": 1.0}, "`fraction`"),
        ({"end_step": 0}, "`end_step`"),
        ({"floor": 1.5}, "`floor` must be a number in .0, 1."),
    ],
)
def test_what_is_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        methods.Adaptive(**argument)


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 20)).astype("float32")
    return x, generator.integers(0, 4, 64)


def fit(data, method, granularity=("element", "element"), optimizer="adam"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((20,))
    x = dsr_tf.layers.SparseDense(
        16, 0.5, seed=1, activation="tanh", granularity=granularity[0]
    )(inputs)
    x = dsr_tf.layers.SparseDense(4, 0.5, seed=2, granularity=granularity[1])(x)
    model, records = keras.Model(inputs, x), []
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    callback = Reallocation(method, 4, seed=3, listener=records.append)
    model.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=[callback])
    assert_zero_outside_masks(model)
    return records


PARTS = [*itertools.product(SCORES, zip(SCOPES * 2, REDISTRIBUTIONS))]
# Each part with some of the others.
OFTEN = PARTS[:: len(REDISTRIBUTIONS) + 1]


@pytest.mark.parametrize(
    "growth, others",
    [
        pytest.param(*case, marks=[] if case in OFTEN else pytest.mark.slow)
        for case in PARTS
    ],
)
def test_fit_keeps_the_budget(data, growth, others):
    scope, redistribution = others
    method = methods.Adaptive(
        0.3, 20, scope=scope, redistribution=redistribution, growth=growth
    )
    records = fit(data, method)
    assert {record.num_active for record in records} == {160 + 32}
    moved = [record.num_grown for record in records]
    wanted = [round(method.fraction_at(n) * 192) for n in (4, 8, 12, 16)]
    if scope == "model":
        assert moved[:4] == wanted
    # A kernel that is nearly full moves no more than it has room for.
    assert 0 < moved[0] <= wanted[0] + 1


@pytest.mark.parametrize("growth", list(SCORES))
def test_bundles_grow_what_they_lose(data, growth):
    records = fit(
        data, methods.Adaptive(0.4, None, growth=growth), ("2:4", "element")
    )
    assert {record.num_active for record in records} == {160 + 32}
    for record in records:
        assert list(record.grown.values()) == list(record.pruned.values())
        assert min(record.grown.values()) > 0


@pytest.mark.parametrize("growth", ["random", "gradient"])
def test_momentum_needs_an_optimizer_that_keeps_it(data, growth):
    """Else the weights themselves would be taken for it."""
    method = methods.Adaptive(0.3, growth=growth, redistribution="momentum")
    with pytest.raises(ValueError, match="Adaptive needs an optimizer with a"):
        fit(data, method, optimizer="sgd")
