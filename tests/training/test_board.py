"""`--tensorboard`: what a run writes for TensorBoard."""

import csv

import pytest

from dsr_tf.commands import train
from tests.callbacks.test_sparsity_board import read
from tests.conftest import needs_tensorflow

pytestmark = needs_tensorflow


@pytest.mark.parametrize("method", ["dsr", "dense"])
def test_what_a_run_writes(method, tmp_path):
    folder = tmp_path / "run"
    flags = ["--epochs=1", "--tensorboard", "--nojit_compile"]
    train.main(["", f"--output_dir={folder}", f"--method={method}", *flags])
    found = read(folder / "tensorboard")
    if method == "dense":
        assert not found
        return
    with open(folder / "metrics.csv") as file:
        (row,) = csv.DictReader(file)
    (accuracy,) = found["val_accuracy"].values()
    assert accuracy == pytest.approx(float(row["test_accuracy"]))
    assert "mask/fc1/kernel" in found
