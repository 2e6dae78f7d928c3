"""Export a trained model: `python -m dsr_tf.export --model=RUN
--format=saved_model --output=PATH`.

RUN is the folder of a run, or a .keras file. What is written is loaded
again and compared with the model before the command ends.
"""

import os

import keras
import numpy as np
from absl import flags
from rich import box
from rich.table import Table
from rich.text import Text

from dsr_tf import command_line
from dsr_tf import export
from dsr_tf.command_line import RunError
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import terminal
from dsr_tf.export import packing
from dsr_tf.export import runtimes
from dsr_tf.export import sizes
from dsr_tf.export import sparse_matmul
from dsr_tf.export import target
from dsr_tf.export.litert_file import VALUES as LITERT_VALUES
from dsr_tf.layers import masked_weights
from dsr_tf.training import build
from dsr_tf.training.earlier_runs import load_keras
from dsr_tf.training.earlier_runs import settings_of_run

_GAINS = {
    "saved_model": (
        "smaller; as fast as a dense one, for it is dense once loaded"
    ),
    "dense": "nothing: it stores all zeros, to compare with",
    "litert": (
        "smaller; no faster than a dense one on x86, where it is unpacked"
    ),
    "onnx": "nothing but its readers: it stores and multiplies all zeros",
}


def main(argv=None):
    argv = argv or command_line.arguments("export")
    flag_values = flags.FlagValues()
    for name, default, help, *kind in (
        ("model", None, "Folder of a run, or .keras file."),
        (
            "format",
            "saved_model",
            "What to write.",
            ("saved_model", "litert", "onnx"),
        ),
        (
            "output",
            None,
            "Folder of the SavedModel, .tflite or .onnx file, which gets its "
            "SHA-256 beside it.",
        ),
        (
            "values",
            "float32",
            "What kernels are rounded to.",
            tuple(packing.DTYPES),
        ),
        (
            "sparse_matmul",
            "auto",
            "Whether large, very sparse Dense kernels are served by sparse "
            "products, for CPUs.",
            sparse_matmul.MODES,
        ),
        (
            "preprocessing",
            False,
            "Add a signature from images (uint8) to probabilities, as the "
            "data set of the run is standardised.",
        ),
        ("dense", False, "Store all zeros, to compare with."),
    ):
        command_line.define(flag_values, name, default, help, *kind)
    command_line.parse(flag_values, argv, __doc__)
    values = {name: flag_values[name].value for name in flag_values}
    with command_line.run_errors(argv[0]):
        _check(values)
        path = _find(values["model"])
        model = load_keras("model", path)
        try:
            _write(values, path, model)
        except (ValueError, TypeError) as error:
            raise UsageError(f"flag --model={path}: {error}") from error
        except OSError as error:
            raise RunError(
                f"flag --output={values['output']}: cannot be written "
                f"({error}); nothing is left of it"
            ) from error
        _print(values, model)


def _check(values):
    """Check what can be checked before the model is loaded.

    Raises:
        UsageError: if flags do not go together, or --output is taken.
    """
    format, output = values["format"], values["output"]
    for name in ("model", "output"):
        if not values[name]:
            raise UsageError(f"flag --{name} is required")
    try:
        if format == "saved_model":
            target.check(output)
        else:
            endings = {"litert": ".tflite", "onnx": ".onnx"}
            target.check_file(output, endings[format])
    except ValueError as error:
        raise UsageError(f"flag --output={output}: {error}") from error
    _check_values(values)
    for name, plain in (
        ("sparse_matmul", "auto"),
        ("preprocessing", False),
        ("dense", False),
    ):
        if values[name] == plain:
            continue
        given = f"flag --{name}={values[name]}"
        if format != "saved_model":
            raise UsageError(
                f"{given}: is for --format=saved_model only, not for "
                f"--format={format}"
            )
        if values["dense"] and name != "dense":
            raise UsageError(
                f"{given}: is for sparse SavedModels; with --dense it must be "
                f"{plain}"
            )


def _check_values(values):
    format, given = values["format"], f"--format={values['format']}"
    allowed = {
        "saved_model": tuple(packing.DTYPES),
        "litert": LITERT_VALUES,
        "onnx": ("float32",),
    }[format]
    if values["dense"] and format == "saved_model":
        allowed, given = ("float32",), "--dense"
    if values["values"] not in allowed:
        raise UsageError(
            f"flag --values={values['values']}: must be one of "
            f"{', '.join(allowed)} for {given}"
        )


def _find(path):
    """The `.keras` file that --model names.

    Raises:
        UsageError: if there is none.
    """
    inside = os.path.join(path, "model.keras")
    found = inside if os.path.isfile(inside) else path
    if not (os.path.isfile(found) and found.endswith(".keras")):
        raise UsageError(
            f"flag --model={path}: must be a .keras file or the folder of a "
            "finished run"
        )
    return found


def _write(values, path, model):
    output = values["output"]
    if values["format"] == "litert":
        export.litert(model, output, values["values"])
    elif values["format"] == "onnx":
        export.onnx(model, output)
    elif values["dense"]:
        export.dense_saved_model(model, output)
    else:
        preprocessing = None
        if values["preprocessing"]:
            preprocessing = _preprocessing(path)
        export.saved_model(
            model,
            output,
            values=values["values"],
            sparse_matmul=values["sparse_matmul"],
            preprocessing=preprocessing,
        )


def _preprocessing(path):
    """How the data set of the run is standardised, as a function."""
    from dsr_tf.data.augmentation import standardise

    settings = settings_of_run(os.path.dirname(os.path.abspath(path)))
    if "dataset" not in settings:
        raise UsageError(
            f"flag --preprocessing: {path} is not in the folder of a run that "
            "would tell its data set"
        )
    try:
        data = build.load_data(
            settings["dataset"],
            settings.get("data_dir"),
            settings.get("image_size"),
        )
    except UsageError as error:
        raise UsageError(
            f"flag --preprocessing: the data set of the run is needed ({error})"
        ) from error
    return lambda images: standardise(images, data)


def _print(values, model):
    """Load what was written, compare it with the model, and tell."""
    output = values["output"]
    bytes_written = target.size(output)
    table = Table(box=box.SIMPLE_HEAD, show_header=False, title="Export")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    # As text: brackets in names would be read as markup.
    table.add_row("written", Text(output))
    table.add_row("bytes", f"{bytes_written:,}")
    dense = sizes.dense_bytes(model)
    times = dense / bytes_written
    table.add_row("all weights", f"{dense:,} bytes, {times:.1f} times as many")
    gain = "dense" if values["dense"] else values["format"]
    if gain in ("saved_model", "litert"):
        bound = bytes_written / sizes.bound_bytes(model)
        table.add_row("to the bound of information", f"{bound:.2f} times")
    table.add_row("outputs", _difference(output, model))
    table.add_row("what it gains", _GAINS[gain])
    if gain == "saved_model":
        chosen = sparse_matmul.chosen(
            masked_weights(model), values["sparse_matmul"]
        )
        for weight in chosen:
            table.add_row(
                "sparse product",
                Text(f"{weight.path}: faster on a CPU, slower on a GPU"),
            )
    terminal.console().print(table)


def _difference(path, model):
    """How far outputs are from the model's, on eight random inputs."""
    if len(model.inputs) != 1:
        return "not compared: the model has several inputs"
    shape = model.inputs[0].shape[1:]
    if None in shape or not model.inputs[0].dtype.startswith("float"):
        return "not compared: inputs are not arrays of one shape"
    inputs = np.random.default_rng(0).normal(size=(8, *shape))
    inputs = inputs.astype(model.inputs[0].dtype)
    expected = keras.tree.flatten(model.predict_on_batch(inputs))
    if len(expected) != 1:
        return "not compared: the model has several outputs"
    try:
        found = runtimes.load("output", path).predict(inputs)
    except UsageError as error:
        # Such as LiteRT with operations that its runtime here lacks.
        return f"not compared: {error}"
    if np.array_equal(found, expected[0], equal_nan=True):
        return "equal to the model's to the bit"
    scale = np.abs(expected[0]).max() or 1.0
    difference = np.abs(found - expected[0]).max() / scale
    return f"differ from the model's by {difference:.1e} of the largest"
