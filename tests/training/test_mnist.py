"""The paper's effect on real MNIST, in short; needs MNIST in TFDS' folder."""

import csv
import json

import pytest

from dsr_tf.commands import train
from tests.conftest import needs_mnist

pytestmark = [pytest.mark.slow, needs_mnist]


def run(folder, name, *more):
    train.main(
        [
            "train",
            f"--flagfile=flags/lenet_mnist/{name}.flags",
            "--sparsity=0.99",
            "--schedule_scale=0.1",
            f"--output_dir={folder}",
            *more,
        ]
    )
    with open(folder / "summary.json") as file:
        return json.load(file)


def test_dsr_beats_static_by_far_at_density_1_percent(tmp_path):
    dsr = run(tmp_path / "dsr", "dsr")
    static = run(tmp_path / "static", "static")
    # After ten epochs of a hundred: 94.4 % on one machine, above 95 on
    # another.
    assert dsr["test_accuracy"] > 0.93
    assert static["test_accuracy"] < 0.8
    with open(tmp_path / "dsr" / "reallocations.csv") as file:
        counts = {row["num_active"] for row in csv.DictReader(file)}
    assert counts == {"2662"}
