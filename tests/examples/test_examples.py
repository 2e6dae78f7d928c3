"""Each of examples/ trains, stays sparse, and can be saved and loaded."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import dsr_tf
from tests.conftest import assert_zero_outside_masks
from tests.conftest import needs_tensorflow
from tests.conftest import values

FOLDER = pathlib.Path(__file__).parents[2] / "examples"
PAGE = FOLDER.parent / "docs" / "examples.md"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
SCRIPTS.remove("shared")

# As few epochs as make a reallocation due.
EPOCHS = {"gru_forecasting": 6}
# The share of inactive weights that each asks for.
SPARSITY = dict.fromkeys(SCRIPTS, 0.8) | {
    "custom_loop": 0.95,
    "gru_forecasting": 0.9,
    "transfer_learning": 0.9,
    "variational_autoencoder": 0.9,
}
# The heaviest have layers that others have as well.
SLOW = {"bidirectional_lstm", "keras_hub_bert", "transformer_classifier"}
SLOW |= {"gan", "variational_autoencoder", "vision_transformer"}


_fit = keras.Model.fit


def fit_or_step(model, *data, callbacks=(), **arguments):
    """Train, but only for a step what nothing is asked of here.

    These are the twins that a script prints the accuracy of; their weights
    stay where they are.
    """
    if not callbacks:
        model.run_eagerly = True
        arguments |= {"epochs": 1, "steps_per_epoch": 1}
    return _fit(model, *data, callbacks=[*callbacks], **arguments)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a script in this process; returns its model and the file."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(keras.Model, "fit", fit_or_step)

    def run(name):
        spec = importlib.util.spec_from_file_location(
            f"example_{name}", FOLDER / f"{name}.py"
        )
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        path = tmp_path / f"{name}.keras"
        epochs = EPOCHS.get(name, 2)
        model = script.main([f"--epochs={epochs}", f"--model_file={path}"])
        return model, path

    return run


@needs_tensorflow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW))
        for name in SCRIPTS
    ],
)
def test_a_script_trains_sparse_and_saves(name, run, capsys, caplog):
    if name == "keras_hub_bert":
        pytest.importorskip("keras_hub")
    model, path = run(name)
    printed = capsys.readouterr().out

    # The budget is kept, to the weight, and weights have moved.
    summary = dsr_tf.sparsity_summary(model)
    assert summary.num_active == round(
        (1 - SPARSITY[name]) * summary.num_masked
    )
    assert_zero_outside_masks(model)
    assert "changed no mask" not in caplog.text

    # What is dense is little, or said.
    assert str(summary) in printed or name == "transfer_learning"
    dense_share = 1 - summary.num_masked / summary.num_parameters
    assert dense_share < 0.05 or "Left dense" in printed

    loaded = keras.models.load_model(path)
    ours, theirs = map(dsr_tf.masked_weights, (model, loaded))
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs):
        np.testing.assert_array_equal(values(a.mask), values(b.mask))
        np.testing.assert_array_equal(values(a.kernel), values(b.kernel))
    if model.compiled:
        # Training can go on where it was.
        ours, theirs = (each.optimizer.variables for each in (model, loaded))
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            np.testing.assert_array_equal(values(a), values(b))


@pytest.mark.parametrize(
    "name, backend",
    [
        pytest.param("recommender", "jax", marks=pytest.mark.slow),
        pytest.param("transformer_classifier", "jax", marks=pytest.mark.slow),
        pytest.param("custom_loop", "tensorflow", marks=pytest.mark.slow),
    ],
)
def test_a_script_runs_from_the_command_line(name, backend, tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    # Scripts find what stands beside them.
    environment.pop("PYTHONSAFEPATH", None)
    path = tmp_path / "model.keras"
    done = subprocess.run(
        [
            sys.executable,
            FOLDER / f"{name}.py",
            "--epochs=2",
            f"--model_file={path}",
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "masked kernels" in done.stdout
    assert path.exists()


@pytest.mark.parametrize("path", FOLDER.glob("*.py"), ids=lambda p: p.stem)
def test_scripts_are_short(path):
    assert len(path.read_text().splitlines()) <= 80


def test_the_page_has_a_line_for_each():
    lines = PAGE.read_text().splitlines()
    for name in SCRIPTS:
        assert sum(f"(../examples/{name}.py)" in line for line in lines) == 1
