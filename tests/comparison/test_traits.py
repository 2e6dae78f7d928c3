"""What runs did, by hand-made summaries."""

import pytest

from dsr_tf.comparison.traits import traits


def kernel(at_start, now, group_size=1):
    return {
        "path": f"k{at_start}-{now}",
        "size": 1000,
        "group_size": group_size,
        "num_active_at_start": at_start,
        "num_active": now,
    }


def summary(active, largest, kernels=(), emptied=(), start=None, **more):
    return {
        "epochs": 10,
        "seconds_per_epoch": 2.0,
        "num_active_parameters": active,
        "largest_num_active_parameters": largest,
        "emptied": list(emptied),
        "kernels": list(kernels),
        "settings": {"initial_checkpoint": start},
        **more,
    }


def nowhere(path):
    return None


def test_dynamic_masks():
    found = traits(
        summary(200, 200, [kernel(100, 140), kernel(100, 60)], ["element"]),
        nowhere,
    )
    assert found.is_strict and found.is_automatic
    assert (found.largest, found.emptied) == (200, ("element",))
    assert found.seconds == 20


@pytest.mark.parametrize(
    "kernels, is_automatic",
    [
        ([(1000, 100), (500, 50)], False),
        # Rounding: one weight more, or a group of them, or 2 %.
        ([(1000, 101), (33, 3)], False),
        ([(500, 150), (500, 100)], True),
        ([], False),
    ],
)
def test_shares_of_pruned_layers(kernels, is_automatic):
    found = traits(
        summary(150, 1500, [kernel(*k) for k in kernels], ["element"]), nowhere
    )
    assert not found.is_strict and found.is_automatic == is_automatic


def test_a_group_is_rounding():
    pairs = (500, 150), (500, 100)
    for group_size, is_automatic in ((1, True), (25, False)):
        kernels = [kernel(*pair, group_size) for pair in pairs]
        found = traits(summary(250, 1000, kernels, ["channel"]), nowhere)
        assert found.is_automatic == is_automatic


@pytest.mark.parametrize(
    "units, emptied, is_automatic",
    [
        ([(5, 10), (10, 20), (10, 10)], ("channel",), False),
        ([(2, 10), (15, 20)], ("channel",), True),
        ([(0, 10), (20, 20)], ("layer",), False),
        ([(0, 10), (10, 20)], ("layer", "channel"), True),
        ([(10, 10)], (), False),
    ],
)
def test_narrow_networks(units, emptied, is_automatic):
    dense = summary(1000, 1000)
    narrow = summary(
        400,
        400,
        start="there",
        narrowed={"units": {str(i): list(u) for i, u in enumerate(units)}},
    )
    found = traits(narrow, {"there": dense}.get)
    assert found.emptied == emptied
    assert found.is_automatic == is_automatic
    # The run that it started from counts.
    assert not found.is_strict and found.largest == 1000
    assert found.seconds == 40


def test_masks_and_smaller_layers():
    narrowed = {"units": {"a": [1, 2]}}
    run = summary(400, 400, [kernel(9, 9)], ["shape"], narrowed=narrowed)
    assert traits(run, nowhere).emptied == ("channel", "shape")


def test_unknown():
    earlier = summary(10, 10)
    del earlier["largest_num_active_parameters"]
    assert traits(earlier, nowhere) is None
    assert traits(summary(10, 10, start="gone"), nowhere) is None
    assert traits(summary(10, 10, start="old"), {"old": earlier}.get) is None
    of_itself = summary(10, 10, start="me")
    assert traits(of_itself, {"me": of_itself}.get) is None
