"""What a new method and a new model take: a file, and one of flags.

A copy of the package gets the files and nothing else is changed in it; one
run trains the model by the method.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import dsr_tf

METHOD = '''
"""A method that moves a tenth of all weights, whichever they are."""

import dataclasses

import numpy as np

from dsr_tf.methods.method import Method


@dataclasses.dataclass(frozen=True)
class Drift(Method):
    fraction: float = 0.1

    flag_name = "drift"

    @classmethod
    def from_settings(cls, settings, num_active, steps_per_epoch):
        return cls(settings.fraction or cls.fraction)

    def prune(self, kernels, state, step):
        return [
            np.arange(k.num_active_groups) < min(
                round(self.fraction * k.num_active_groups), k.num_free_groups
            )
            for k in kernels
        ]
'''

MODEL = '''
"""A network of two layers, of which the second stays dense."""

import keras

from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled


@register("perceptron", keep_dense=["^last$"])
def perceptron(
    input_shape, num_classes, width=1.0, l1=0.0, label_smoothing=0.0
):
    assert label_smoothing == 0.25  # A flag, since it is called as one.
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(scaled(20, width), "relu", name="first")(x)
    return keras.Model(
        inputs, keras.layers.Dense(num_classes, name="last")(x)
    )
'''


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run of a copy of the package that has both files."""
    folder = tmp_path_factory.mktemp("copy")
    package = shutil.copytree(
        pathlib.Path(dsr_tf.__file__).parent,
        folder / "dsr_tf",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (package / "methods" / "drift.py").write_text(METHOD)
    (package / "models" / "perceptron.py").write_text(MODEL)
    flagfile = folder / "drift.flags"
    flagfile.write_text("--method=drift\n--fraction=0.2\n--period=5\n")
    flags = ["--model=perceptron", "--label_smoothing=0.25", "--width=2"]
    flags += ["--epochs=1", "--nojit_compile", "--output_dir=out"]
    flags.append(f"--flagfile={flagfile}")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dsr_tf.train",
            f"--flagfile={flagfile}",
            *flags,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_a_new_method_is_its_file_and_its_flags(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["method"] == "drift" and summary["mask_density"] == 0.1
    # Of 14 steps: before those of numbers 5 and 10.
    assert summary["num_reallocations"] == 2
    moves = (finished / "reallocations.csv").read_text().splitlines()
    names, first = (line.split(",") for line in moves[:2])
    num_active = dict(zip(names, first))["num_active"]
    num_grown = dict(zip(names, first))["num_grown"]
    # A tenth of 2560, and a fifth of that.
    assert (num_active, num_grown) == ("256", "51")


def test_a_new_model_is_its_file(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["model"] == "perceptron"
    assert [k["path"] for k in summary["kernels"]] == ["first/kernel"]
    assert summary["num_parameters"] == 64 * 40 + 40 + 40 * 10 + 10
    assert summary["num_active_parameters"] == 256 + 40 + 40 * 10 + 10
