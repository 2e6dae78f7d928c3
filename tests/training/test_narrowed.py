"""What runs write of models whose channels have gone."""

import json

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import structure
from dsr_tf.commands import report
from dsr_tf.commands import train
from dsr_tf.export import registry
from dsr_tf.layers import masked_weights
from dsr_tf.models import wrn_28_2
from dsr_tf.training import architecture
from dsr_tf.training import narrowed

FLAGS = [
    "--dataset=digits",
    "--granularity=channel",
    "--sparsity=0.7",
    "--num_reallocated=0.1",
    "--period=7",
    "--epochs=2",
    "--nojit_compile",
    "--steps_per_execution=1",
]


def run(folder, *more):
    train.main(["train", *FLAGS, f"--output_dir={folder}", *more])
    summary = json.loads((folder / "summary.json").read_text())
    path = folder / "model.keras"
    return summary, keras.models.load_model(path, compile=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run without and with --narrow."""
    folder = tmp_path_factory.mktemp("runs")
    flags = ["--method=set", "--keep_dense=^fc3$"]
    return (
        folder,
        run(folder / "masked", *flags),
        run(folder / "narrow", *flags, "--narrow"),
    )


def test_the_channels_that_masks_emptied_are_gone(runs):
    _, (before, masked), (after, narrow) = runs
    assert before["num_reallocations"] == 3
    for name, total in (("fc1", 300), ("fc2", 100)):
        # Not all that masks allow: what has grown may still be 0.
        alive = masked.get_layer(name).kernel.numpy().any(axis=0)
        assert 0.2 * total < alive.sum() <= 0.3 * total
        assert after["narrowed"]["units"][name] == [alive.sum(), total]
        gamma, left = (
            model.get_layer(f"{name}_bn").gamma.numpy()
            for model in (masked, narrow)
        )
        np.testing.assert_array_equal(gamma[alive], left)
    # What was trained is told as ever, and so are its kernels.
    for name in ("test_accuracy", "num_active_parameters", "kernels"):
        assert after[name] == before[name]
    assert after["num_macs"] < 0.2 * before["num_macs"]
    accuracy = after["test_accuracy"]
    assert accuracy > 0.8
    assert after["narrowed"]["test_accuracy"] == pytest.approx(accuracy)


def test_it_computes_the_same_without_masks(runs):
    folder, (_, masked), (_, narrow) = runs
    assert {type(x).__module__.split(".")[0] for x in narrow.layers} == {
        "keras"
    }
    # Compiled it would ask for the optimizer of the run.
    again = keras.models.load_model(folder / "narrow" / "model.keras")
    assert not again.compiled
    images = (
        np.random.default_rng(0).normal(size=(50, 8, 8, 1)).astype("float32")
    )
    expected = masked.predict(images, verbose=0)
    saved = registry.load("model", str(folder / "narrow" / "saved_model"))
    for predict in (narrow.predict_on_batch, saved.predict):
        np.testing.assert_allclose(predict(images), expected, atol=1e-5)


def test_the_report_tells_both(runs, capsys):
    report.main(["report", f"--run={runs[0]}/narrow"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "test accuracy as written" in printed
    assert "density of masked kernels 0.3" in printed


def test_a_finished_run_writes_the_same_again(runs):
    folder, _, (before, narrow) = runs
    flags = ["--method=set", "--keep_dense=^fc3$", "--narrow", "--resume"]
    after, again = run(folder / "narrow", *flags)
    assert after["narrowed"] == before["narrowed"]
    for ours, theirs in zip(narrow.weights, again.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_masks_that_still_say_something_stay(tmp_path):
    """Of the logits none can go, so their mask does not empty anything."""
    summary, narrow = run(
        tmp_path / "run", "--method=static", "--keep_dense=none", "--narrow"
    )
    assert summary["narrowed"]["units"] == {"fc1": [90, 300], "fc2": [30, 100]}
    densities = {w.path: w.num_active / w.size for w in masked_weights(narrow)}
    assert densities == {"fc1/kernel": 1, "fc2/kernel": 1, "fc3/kernel": 0.3}


def test_units_of_streams_and_selections():
    """Of a network that is rebuilt from its text, as in a resumed run."""
    dense = wrn_28_2((8, 8, 1), 10)
    found = structure.Structure(dense, selections=True)
    keep = {}
    for name, number in (
        ("group1_block2_bn1/selection", 3),
        ("group2_block1_conv1", 4),
        ("group3_block1_shortcut", 5),
    ):
        units = found.by_name[name]
        keep[name] = np.arange(units.num_units) < number
    narrow = architecture.prepared(structure.narrow(dense, keep)).build()
    left = narrowed.units_left(found.sets, narrow)
    assert {name: n for name, n in left.items() if n[0] < n[1]} == {
        "group1_block2_bn1/selection": [3, 32],
        "group2_block1_conv1": [4, 64],
        "group3_block1_shortcut": [5, 128],
    }
    # Twelve between the convolutions of blocks, the stem, three streams.
    assert len(left) == 16 + 1
    assert dsr_tf.cost(narrow).num_macs == found.cost(keep).macs
