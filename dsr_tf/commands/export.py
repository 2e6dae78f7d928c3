"""Export a trained model: `python -m dsr_tf.export --model=RUN
--format=saved_model --output=PATH`.

RUN is the folder of a run, or a .keras file. What is written is loaded
again and compared with the model before the command ends.
"""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from absl import flags
from rich import box
from rich.table import Table

from dsr_tf import command_line
from dsr_tf.command_line import RunError
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import terminal
from dsr_tf.core.folding import Name
from dsr_tf.core.printing import compared
from dsr_tf.data.augmentation import standardise
from dsr_tf.export import registry
from dsr_tf.export import sizes
from dsr_tf.export import target
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Report
from dsr_tf.export.formats.keras import find_keras
from dsr_tf.export.formats.keras import load_keras
from dsr_tf.training import build
from dsr_tf.training.earlier_runs import settings_of_run

# Flags without which there is nothing to do, and what they are.
_REQUIRED = {
    "model": "the folder of a run, or a .keras file",
    "output": "the file or folder to write",
}


def main(argv: list[str] | None = None) -> None:
    argv = argv or command_line.arguments("export")
    formats, options = registry.exported(), registry.options()
    outputs = registry.in_words(formats.values())
    flag_values = flags.FlagValues()
    described: tuple[tuple[Any, ...], ...] = (
        ("model", None, "Folder of a run, or .keras file."),
        ("format", registry.DEFAULT, "What to write.", tuple(formats)),
        (
            "output",
            None,
            f"Folder of the {outputs}, which gets its SHA-256 beside it.",
        ),
        *(
            (option.name, option.default, option.help, option.accepts)
            for option in options.values()
        ),
    )
    for name, default, help, *kind in described:
        command_line.define(flag_values, name, default, help, *kind)
    command_line.parse(flag_values, argv, __doc__)
    values = flag_values.flag_values_dict()
    with command_line.run_errors(argv[0]):
        format, output = formats[values["format"]], values["output"]
        chosen = _check(format, values)
        path = find_keras("model", values["model"])
        model = load_keras("model", path)
        _write(format, model, path, output, chosen)
        _print(format.report(model, chosen), model, output)


def _check(format: ExportFormat, values: dict[str, Any]) -> dict[str, Any]:
    """Check what can be checked before the model is loaded.

    Returns:
        The values of the format's own options.

    Raises:
        UsageError: if flags do not go together, or --output is taken.
    """
    command_line.require(values, _REQUIRED)
    try:
        format.check_output(values["output"])
    except ValueError as error:
        reason = command_line.without_argument(str(error))
        raise UsageError(
            f"flag --output={values['output']}: {reason}"
        ) from error
    return registry.chosen_options(format, values)


def _write(
    format: ExportFormat,
    model: keras.Model,
    path: str,
    output: str,
    options: dict[str, Any],
) -> None:
    if "preprocessing" in options:
        # What writers take is the function itself.
        wanted = options["preprocessing"]
        function = _preprocessing(path) if wanted else None
        options = {**options, "preprocessing": function}
    try:
        format.write(model, output, options)
    except (ValueError, TypeError) as error:
        raise UsageError(f"flag --model={path}: {error}") from error
    except OSError as error:
        raise RunError(
            f"flag --output={output}: cannot be written ({error}); nothing is "
            "left of it"
        ) from error


def _preprocessing(path: str) -> Callable[[Any], Any]:
    """How the data set of the run is standardised, as a function."""
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


def _print(report: Report, model: keras.Model, output: str) -> None:
    """Load what was written, compare it with the model, and tell."""
    bytes_written = target.size(output)
    table = Table(box=box.SIMPLE_HEAD, show_header=False, title="Export")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("written", Name(output))
    table.add_row("bytes", f"{bytes_written:,}")
    dense = sizes.dense_bytes(model)
    if dense:  # Some models have no weights.
        how = compared(bytes_written, dense)
        table.add_row(
            "all weights, zeros too",
            f"{dense:,} bytes; the export is {how} that",
        )
    if dense and not report.stores_zeros:
        least = sizes.bound_bytes(model)
        table.add_row(
            "active weights and their places",
            f"{least:,.0f} bytes, {least / bytes_written:.0%} of the export",
        )
    table.add_row("outputs", _difference(output, model))
    table.add_row("what it gains", report.gain)
    for heading, note in report.notes:
        table.add_row(heading, Name(note))
    terminal.console().print(table)


def _difference(path: str, model: keras.Model) -> str:
    """How far outputs are from the model's, on random inputs.

    They are eight, or as many as the model says that a batch has.
    """
    if len(model.inputs) != 1:
        return "not compared: the model has several inputs"
    batch_size, *shape = model.inputs[0].shape
    if None in shape or not model.inputs[0].dtype.startswith("float"):
        return "not compared: inputs are not arrays of one shape"
    inputs = np.random.default_rng(0).normal(size=(batch_size or 8, *shape))
    inputs = inputs.astype(model.inputs[0].dtype)
    expected = keras.tree.flatten(model.predict_on_batch(inputs))
    if len(expected) != 1:
        return "not compared: the model has several outputs"
    try:
        found = registry.load("output", path).predict(inputs)
    except UsageError as error:
        # Such as operations that the runtime here lacks.
        reason = str(error).removeprefix(f"flag --output={path}: ")
        return f"not compared: {reason}"
    if np.array_equal(found, expected[0], equal_nan=True):
        return "equal to the model's to the bit"
    scale = np.abs(expected[0]).max() or 1.0
    difference = np.abs(found - expected[0]).max() / scale
    return f"differ from the model's by {difference:.1e} of the largest"
