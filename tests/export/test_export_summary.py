"""What `python -m dsr_tf.export` says of what it has written."""

import keras
import pytest

import dsr_tf
from dsr_tf.commands import export
from dsr_tf.core import printing


@pytest.fixture
def summary(tmp_path, capsys):
    """A function that exports a model and returns what is printed."""

    def printed(model, format):
        model.save(tmp_path / "m.keras")
        output = tmp_path / f"m.{format}"
        export.main(
            ["export", f"--model={tmp_path / 'm.keras'}", f"--output={output}"]
            + [f"--format={format}"]
        )
        return " ".join(capsys.readouterr().out.split())

    return printed


def test_sizes_of_a_file(summary, tmp_path):
    """Of 8 x 16 weights every other one is active; there are 16 biases."""
    layer = dsr_tf.layers.SparseDense(16, 0.5, seed=0)
    printed = summary(keras.Sequential([keras.Input((8,)), layer]), "onnx")
    size = (tmp_path / "m.onnx").stat().st_size
    assert f"bytes {size:,} " in printed
    than_all = printing.compared(size, 576)
    assert f"zeros too 576 bytes; the export is {than_all} that " in printed
    # Of a format that stores all zeros no bound is told.
    assert "active weights" not in printed
    printed = summary(keras.Sequential([keras.Input((8,)), layer]), "packed")
    # 64 values, 16 biases, and a bit for each of 128 places.
    size = (tmp_path / "m.packed").stat().st_size
    assert f"places 336 bytes, {336 / size:.0%} of the export " in printed


@pytest.mark.parametrize("format", ["saved_model", "packed"])
def test_a_model_without_weights(format, summary):
    printed = summary(
        keras.Sequential([keras.Input((2, 3)), keras.layers.Flatten()]), format
    )
    assert "outputs equal" in printed and "the export" not in printed


@pytest.mark.parametrize("format", ["saved_model", "packed"])
def test_outputs_of_batches_of_one_size_are_compared(format, summary):
    """Of as many inputs as the model takes, not of another number."""
    inputs = keras.Input(batch_shape=(3, 2))
    x = dsr_tf.layers.SparseDense(4, 0.5, seed=0)(inputs)
    model = keras.Model(inputs, x + keras.ops.ones((3, 4)))
    assert "outputs equal to the model's to the bit" in summary(model, format)
