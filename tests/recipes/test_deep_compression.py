"""Runs that cluster a pruned network: they train, resume, and are exported."""

import csv
import json
import os

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.command_line import UsageError
from dsr_tf.commands import evaluate
from dsr_tf.commands import export
from dsr_tf.commands import report
from dsr_tf.commands import train
from dsr_tf.models import lenet_300_100
from dsr_tf.recipes.bits import parse_bits
from dsr_tf.training import checkpoint
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.run import Run
from tests.conftest import values
from tests.training import left_behind

FLAGS = [
    *("--dataset=digits", "--nobatch_normalization", "--l1=0", "--seed=5"),
    *("--method=deep_compression", "--bits=fc[12]:4,fc3:3", "--period=7"),
    *("--learning_rate=0.001", "--nojit_compile"),
    "--steps_per_execution=1",
]


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A file that holds a network with masks."""
    path = tmp_path_factory.mktemp("pruned") / "model.keras"
    dense = lenet_300_100((8, 8, 1), batch_normalization=False)
    dsr_tf.sparsify(dense, 0.9, mask="magnitude").save(path)
    return path


def run(folder, pruned, *more):
    flags = [f"--output_dir={folder}", f"--initial_checkpoint={pruned}"]
    train.main(["train", *FLAGS, *flags, *more])
    return json.loads((folder / "summary.json").read_text())


def kernels(folder):
    model = keras.models.load_model(folder / "model.keras", compile=False)
    return {
        path: (values(w.codes), values(w.codebook))
        for path, w in layers.clustered_weights(model).items()
    }


def test_a_run_from_a_pruned_network(pruned, tmp_path, capsys):
    start = tmp_path / "start.keras"
    os.link(pruned, start)
    summary = run(tmp_path / "whole", start, "--epochs=2")
    with open(tmp_path / "whole" / "metrics.csv") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[1] < losses[0]
    source = keras.models.load_model(pruned)
    found = kernels(tmp_path / "whole")
    active = 0
    for weight in dsr_tf.masked_weights(source):
        codes, codebook = found[weight.path]
        np.testing.assert_array_equal(codes != 0, values(weight.mask))
        assert codebook.shape == (8 if "fc3" in weight.path else 16,)
        active += weight.num_active
    assert summary["mask_density"] == pytest.approx(0.1, abs=1e-4)
    assert sum(k["num_active"] for k in summary["kernels"]) == active
    assert [k["bits"] for k in summary["kernels"]] == [4, 4, 3]

    # Stopped after an epoch it ends with the same, to the bit; what it
    # started from need not be there any more.
    left_behind.after(14, tmp_path / "whole", tmp_path / "parts")
    newest = checkpoint.read_newest(tmp_path / "parts" / "checkpoints")
    first = dict(zip(newest.names, newest.values))
    start.unlink()
    run(tmp_path / "parts", start, "--epochs=2", "--resume")
    for path, (codes, codebook) in kernels(tmp_path / "parts").items():
        np.testing.assert_array_equal(codes, found[path][0])
        np.testing.assert_array_equal(codebook, found[path][1])
        assert (codebook != first[path.replace("kernel", "codebook")]).any()

    capsys.readouterr()
    report.main(["report", f"--run={tmp_path / 'whole'}"])
    assert "deep_compression" in capsys.readouterr().out
    file = tmp_path / "model.packed"
    export.main(
        ["e", f"--model={tmp_path / 'whole'}", "--format=packed"]
        + [f"--output={file}"]
    )
    assert "equal to the model's to the bit" in capsys.readouterr().out
    evaluate.main(["evaluate", f"--model={file}", "--dataset=digits"])
    assert f"{summary['test_accuracy']:.2%}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, bits", [("6", 6), ("conv:8,fc:5", {"conv": 8, "fc": 5})]
)
def test_bits_as_flags_have_them(text, bits):
    assert parse_bits(text) == bits


@pytest.mark.parametrize(
    "text", ["", "0", "9", "6.0", "x", ":3", "3,4", "a:3,a:4", "a:3,4", "[:3"]
)
def test_bits_that_are_none(text):
    with pytest.raises(ValueError, match="must be an integer from 1 to 8, or"):
        parse_bits(text)


def test_flags_that_do_not_go_together(pruned, tmp_path):
    settings = {"method": "deep_compression", "output_dir": str(tmp_path / "r")}
    with pytest.raises(UsageError, match="--initial_checkpoint is required"):
        Experiment(**settings)
    experiment = Experiment(
        **settings,
        bits="fc9:3",
        batch_normalization=False,
        initial_checkpoint=str(pruned),
    )
    with pytest.raises(UsageError, match="--bits=fc9:3: must name kern"):
        Run(experiment)
