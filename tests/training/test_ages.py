"""Ages of active weights, counted by hand and through stops."""

import json
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from dsr_tf.training import ages as ages_
from dsr_tf.training.ages import CLASSES
from dsr_tf.training.ages import Ages


def kernel(path="fc", group_size=1):
    """A masked weight whose mask is whatever `active` says."""
    weight = types.SimpleNamespace(path=path, group_size=group_size)
    weight.active = []
    weight.variable = types.SimpleNamespace(
        places=lambda: np.array(sorted(weight.active), "int64")
    )
    return weight


def test_three_reallocations_by_hand():
    one, two = kernel("one"), kernel("two", group_size=4)
    one.active, two.active = [1, 3, 5, 7], [0, 2]
    ages = Ages([one, two])
    # 3 goes, 4 comes; of the other kernel 0 goes, and nothing comes.
    one.active, two.active = [1, 4, 5, 7], [2]
    row = ages.look(10)
    assert row["step"] == 10 and row["from_start"] == 3 + 4
    assert [row[f"age:{n}"] for n in CLASSES[:3]] == [1, 0, 0]
    assert row["grown:one"] == 1 and row["grown:two"] == 0
    assert row["pruned_at_once:one"] == row["pruned_at_once:two"] == 0
    assert row["mean_age:one"] == 0.75  # Ages 1, 0, 1, 1.
    # 1 goes; 0 and 6 come, and two groups of four.
    one.active, two.active = [0, 4, 5, 6, 7], [1, 2, 3]
    row = ages.look(20)
    assert [row[f"age:{n}"] for n in CLASSES[:3]] == [2 + 8, 1, 0]
    assert row["from_start:one"] == 2 and row["from_start:two"] == 4
    # Of what has just grown 0 goes, and one group; 5, too, which is old.
    one.active, two.active = [3, 4, 6, 7], [1, 2]
    row = ages.look(30)
    assert row["pruned_at_once:one"] == 1 and row["pruned_at_once:two"] == 4
    # 3 has come back: it is young again. 6 is 1 old, 4 is 2.
    assert [row[f"age:{n}"] for n in CLASSES[:4]] == [1, 1 + 4, 1, 0]
    assert row["from_start"] == 1 + 4
    assert row["mean_age:one"] == 1.5  # 0, 2, 1, 3.


def test_a_kernel_that_is_emptied():
    fc = kernel()
    fc.active = [0, 1]
    ages = Ages([fc])
    fc.active = []
    assert ages.look(1)["mean_age:fc"] == 0
    fc.active = [1]
    assert ages.look(2)["grown:fc"] == 1


masks = st.lists(
    st.frozensets(st.integers(0, 40), max_size=20), min_size=2, max_size=20
)


@settings(deadline=None, max_examples=60)
@given(masks, st.data())
def test_each_weight_has_the_age_that_it_has(moves, data):
    """Against one weight at a time; stopped and resumed somewhere."""
    stop = data.draw(st.integers(1, len(moves)))
    fc = kernel()
    fc.active = moves[0]
    ages, born = Ages([fc]), dict.fromkeys(moves[0], 0)
    for count, active in enumerate(moves[1:], 1):
        if count == stop:
            ages = Ages.restored([fc], ages.text)
        before = dict(born)
        born = {place: born.get(place, count) for place in active}
        at_once = [p for p in before if p not in born]
        at_once = [p for p in at_once if before[p] == count - 1 > 0]
        fc.active = active
        row = ages.look(count)
        assert row["pruned_at_once:fc"] == len(at_once)
        assert row["from_start"] == sum(b == 0 for b in born.values())
        by_class = [0] * len(CLASSES)
        for b in born.values():
            if b:
                by_class[sum(low <= count - b for low in CLASSES) - 1] += 1
        assert [row[f"age:{n}"] for n in CLASSES] == by_class
        mean = np.mean([count - b for b in born.values()]) if born else 0
        np.testing.assert_allclose(row["mean_age:fc"], mean, atol=5.1e-4)


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
