"""Ages of active weights, counted by hand and through stops."""

import collections
import json
import types

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import dsr_tf
from dsr_tf import callbacks
from dsr_tf import methods
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.record import Moves
from dsr_tf.reallocation.record import Record
from dsr_tf.training import ages as ages_
from dsr_tf.training.ages import CLASSES
from dsr_tf.training.ages import Ages
from tests.conftest import needs_tensorflow


class Counted:
    """The same rows, counted from masks, one group at a time."""

    def __init__(self, masked):
        self.masked, self.count = masked, 0
        self.born = {w.path: dict.fromkeys(active(w), 0) for w in masked}

    def look(self, step):
        self.count += 1
        rows = {"age": dict.fromkeys(CLASSES, 0)}
        for name in ("grown", "pruned_at_once", "from_start", "mean_age"):
            rows[name] = {}
        for weight in self.masked:
            path, size = weight.path, weight.group_size
            before, now = self.born[path], active(weight)
            born = {place: before.get(place, self.count) for place in now}
            self.born[path] = born
            times = collections.Counter(born.values())
            for time, number in times.items():
                if time:
                    of = max(c for c in CLASSES if c <= self.count - time)
                    rows["age"][of] += size * number
            at_once = [before[p] for p in before if p not in born]
            at_once = [t for t in at_once if t == self.count - 1 > 0]
            ages = [self.count - time for time in born.values()]
            rows["grown"][path] = size * times[self.count]
            rows["pruned_at_once"][path] = size * len(at_once)
            rows["from_start"][path] = size * times[0]
            mean = round(sum(ages) / len(ages), 3) if ages else 0.0
            rows["mean_age"][path] = mean
        return {
            "step": step,
            **{f"age:{of}": n for of, n in rows.pop("age").items()},
            "from_start": sum(rows["from_start"].values()),
            **{
                f"{name}:{path}": number
                for name, numbers in rows.items()
                for path, number in numbers.items()
            },
        }


def active(weight):
    return weight.variable.places().tolist()


def record(step, moves=None):
    """One that says what moved; or not, so that masks are compared."""
    return Record(step, None, {}, {}, {}, 0, moves)


def moves_to(weight, now):
    """Let the mask become `now`, and say what moved."""
    before, weight.active = set(weight.active), now
    return Moves(
        np.array(sorted(before - set(now)), "int64"),
        np.array(sorted(set(now) - before), "int64"),
    )


def kernel(path="fc", group_size=1):
    """A masked weight whose mask is whatever `active` says."""
    weight = types.SimpleNamespace(path=path, group_size=group_size)
    weight.active = []
    weight.variable = types.SimpleNamespace(
        places=lambda: np.array(sorted(weight.active), "int64")
    )
    return weight


@pytest.mark.parametrize("says_what", [True, False])
def test_three_reallocations_by_hand(says_what):
    one, two = kernel("one"), kernel("two", group_size=4)
    one.active, two.active = [1, 3, 5, 7], [0, 2]
    ages = Ages([one, two])

    def look(step, *now):
        moves = {w.path: moves_to(w, n) for w, n in zip((one, two), now)}
        return ages.look(record(step, moves if says_what else None))

    # 3 goes, 4 comes; of the other kernel 0 goes, and nothing comes.
    row = look(10, [1, 4, 5, 7], [2])
    assert row["step"] == 10 and row["from_start"] == 3 + 4
    assert [row[f"age:{n}"] for n in CLASSES[:3]] == [1, 0, 0]
    assert row["grown:one"] == 1 and row["grown:two"] == 0
    assert row["pruned_at_once:one"] == row["pruned_at_once:two"] == 0
    assert row["mean_age:one"] == 0.75  # Ages 1, 0, 1, 1.
    # 1 goes; 0 and 6 come, and two groups of four.
    row = look(20, [0, 4, 5, 6, 7], [1, 2, 3])
    assert [row[f"age:{n}"] for n in CLASSES[:3]] == [2 + 8, 1, 0]
    assert row["from_start:one"] == 2 and row["from_start:two"] == 4
    # Of what has just grown 0 goes, and one group; 5, too, which is old.
    row = look(30, [3, 4, 6, 7], [1, 2])
    assert row["pruned_at_once:one"] == 1 and row["pruned_at_once:two"] == 4
    # 3 has come back: it is young again. 6 is 1 old, 4 is 2.
    assert [row[f"age:{n}"] for n in CLASSES[:4]] == [1, 1 + 4, 1, 0]
    assert row["from_start"] == 1 + 4
    assert row["mean_age:one"] == 1.5  # 0, 2, 1, 3.


def test_a_kernel_that_is_emptied():
    fc = kernel()
    fc.active = [0, 1]
    ages = Ages([fc])
    row = ages.look(record(1, {"fc": moves_to(fc, [])}))
    assert row["mean_age:fc"] == 0
    row = ages.look(record(2, {"fc": moves_to(fc, [1])}))
    assert row["grown:fc"] == 1


masks = st.lists(
    st.frozensets(st.integers(0, 40), max_size=20), min_size=2, max_size=20
)


@settings(deadline=None, max_examples=60)
@given(masks, st.booleans(), st.data())
def test_each_weight_has_the_age_that_it_has(masks, says_what, data):
    """Against one weight at a time; stopped and resumed somewhere."""
    stop = data.draw(st.integers(1, len(masks)))
    fc = kernel(group_size=data.draw(st.integers(1, 3)))
    fc.active = masks[0]
    ages, counted = Ages([fc]), Counted([fc])
    for step, now in enumerate(masks[1:], 1):
        if step == stop:
            ages = Ages.restored([fc], ages.text)
        moves = {"fc": moves_to(fc, now)}
        row = ages.look(record(step, moves if says_what else None))
        assert list(row.items()) == list(counted.look(step).items())


def reallocation(method):
    return lambda data, **given: callbacks.Reallocation(
        method, 3, seed=1, **given
    )


def gradual(data, **given):
    return callbacks.GradualPruning(
        target_sparsity=0.9,
        pruning_frequency=3,
        sparsity_function_end_step=20,
        **given,
    )


def blocks_of_gradual(data, **given):
    return callbacks.GradualPruning(
        target_sparsity=0.9,
        pruning_frequency=3,
        sparsity_function_end_step=20,
        block_height=4,
        block_width=2,
        **given,
    )


def nest(data, **given):
    return callbacks.GrowAndPrune(
        data, frequency=3, grow_steps=4, prune_share=0.2, seed=1, **given
    )


DSR = reallocation(methods.DSR(0.2, initial_threshold=0.02))
FITS = {
    "masked": (DSR, {}),
    "groups": (DSR, {"granularity": "block:4"}),
    "pattern": (reallocation(methods.SET(0.3)), {"granularity": "1:4"}),
    "gradients": (reallocation(methods.RigL(0.3)), {}),
    "blocks": (DSR, {"granularity": "block:8", "storage": "blocks"}),
    "lists": (DSR, {"storage": "lists"}),
    "deep_r": (reallocation(methods.DeepR(1e-3)), {}),
    "gradual": (gradual, {"sparsity": 0.0}),
    "gradual_blocks": (blocks_of_gradual, {"sparsity": 0.0}),
    "nest": (nest, {"sparsity": 0.5}),
}


@needs_tensorflow
@pytest.mark.parametrize("name", FITS)
def test_ages_of_a_fit_are_those_of_its_masks(name):
    """Records say what masks say, whatever moves the weights."""
    make, arguments = FITS[name]
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32,)),
            keras.layers.Dense(24, "relu"),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(8),
        ]
    )
    model = dsr_tf.sparsify(model, seed=0, **{"sparsity": 0.75, **arguments})
    model.compile(
        keras.optimizers.SGD(0.3, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    random = np.random.default_rng(0)
    x = random.normal(size=(240, 32)).astype("float32")
    y = random.integers(0, 8, 240)
    masked = masked_weights(model)
    ages, counted, records = Ages(masked), Counted(masked), []

    def listen(record):
        records.append(record)
        row = list(ages.look(record).items())
        assert row == list(counted.look(record.step).items())

    callback = make((x, y), listener=listen)
    model.fit(x, y, batch_size=20, epochs=2, callbacks=[callback], verbose=0)
    assert len(records) > 3 and sum(r.num_pruned for r in records)
    # DeepR's steps count what moves, and all others say what does.
    assert all((r.moves is None) == (name == "deep_r") for r in records)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: "{",
        lambda state: "[]",
        lambda state: json.dumps({**state, "born": {}}),
        lambda state: json.dumps({**state, "count": "many"}),
        lambda state: json.dumps({**state, "born": {"fc": "AAAA"}}),
        lambda state: json.dumps({**state, "born": {"fc": 3}}),
        # Of three weights, or of far more than there are.
        lambda state: json.dumps(
            {"count": 1, "born": {"fc": ages_._pack(np.zeros(3, "int32"))}}
        ),
        lambda state: json.dumps(
            {"count": 1, "born": {"fc": ages_._pack(np.zeros(9**6, "int32"))}}
        ),
    ],
)
def test_damaged_ages_are_refused(damage):
    fc = kernel()
    fc.active = [0, 1]
    text = damage(json.loads(Ages([fc]).text))
    with pytest.raises(ValueError, match="the ages of its weights are damaged"):
        Ages.restored([fc], text)
