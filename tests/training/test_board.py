"""`--tensorboard`: what runs and comparisons write for TensorBoard."""

import csv
import json
import sys

import pytest
import tensorflow as tf
from tensorboard.plugins.hparams import metadata

from dsr_tf.commands import compare
from dsr_tf.commands import train
from dsr_tf.training import board
from tests.callbacks.test_sparsity_board import read
from tests.conftest import needs_tensorflow

pytestmark = needs_tensorflow


def said_of(folder, tag):
    """What HPARAMS finds under a tag, once."""
    (content,) = (
        value.metadata.plugin_data.content
        for path in folder.glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag == tag
    )
    return content


@pytest.mark.parametrize("method", ["dsr", "dense"])
def test_what_a_run_writes(method, tmp_path):
    folder = tmp_path / "run"
    flags = ["--epochs=1", "--tensorboard", "--nojit_compile"]
    train.main(["", f"--output_dir={folder}", f"--method={method}", *flags])
    found = read(folder / "tensorboard")
    with open(folder / "metrics.csv") as file:
        (row,) = csv.DictReader(file)
    ((step, accuracy),) = found["val_accuracy"].items()
    assert accuracy == pytest.approx(float(row["test_accuracy"]))
    assert ("mask/fc1/kernel" in found) == (method == "dsr")
    summary = json.loads((folder / "summary.json").read_text())
    for name in ("test_accuracy", "num_active_parameters", "num_active_macs"):
        assert found[f"result/{name}"] == {step: pytest.approx(summary[name])}
    assert method != "dense" or summary["training_macs_ratio"] == 1
    said = metadata.parse_session_start_info_plugin_data(
        said_of(folder / "tensorboard", metadata.SESSION_START_INFO_TAG)
    )
    assert said.group_name == f"run in {tmp_path}"
    assert said.hparams["method"].string_value == method
    # Of a dense network it says nothing.
    assert ("sparsity" in said.hparams) == (method == "dsr")
    assert "output_dir" not in said.hparams


def test_by_what_a_comparison_compares(tmp_path, monkeypatch):
    """By the settings that differ, also where runs have been added."""
    monkeypatch.setattr(compare, "execute", lambda *_: ([], []))
    paths = []
    for name in ("dense", "set"):
        paths.append(tmp_path / f"{name}.flags")
        paths[-1].write_text(f"--method={name}\n--fraction=0.2")
        files = ",".join(map(str, paths))
        arguments = [f"--flagfiles={files}", f"--output_dir={tmp_path}/out"]
        compare.main(["", *arguments, "--dataset=digits", "--tensorboard"])
        said = metadata.parse_experiment_plugin_data(
            said_of(tmp_path / "out" / "tensorboard", metadata.EXPERIMENT_TAG)
        )
        assert "result/test_accuracy" in [
            metric.name.tag for metric in said.metric_infos
        ]
    assert [info.name for info in said.hparam_infos] == ["method"]


def test_without_the_package(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
    board.describe(str(tmp_path), [{"method": "dsr"}])
    assert "tensorboard is not installed" in caplog.text
    assert not list(tmp_path.iterdir())
