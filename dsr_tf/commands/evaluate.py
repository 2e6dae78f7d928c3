"""Test accuracy of a trained model: `python -m dsr_tf.evaluate --model=PATH`.

PATH is {models}, or the folder of a run.
The data set is the one that the run was trained on, unless --dataset names
another. Several paths, separated by commas, are compared: in size, time to
load, time to predict, and accuracy.
"""

import os
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags
from rich import box
from rich import text
from rich.console import Console
from rich.table import Table

from dsr_tf import command_line
from dsr_tf import data as datasets
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import terminal
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.core import folding
from dsr_tf.data.streaming import AnyData
from dsr_tf.export import registry
from dsr_tf.export import target
from dsr_tf.export import timing
from dsr_tf.export.classifier import ends_with_probabilities
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.structure.whole.summary import sparsity_summary
from dsr_tf.training import build
from dsr_tf.training.earlier_runs import settings_of_run
from dsr_tf.training.guard import reason

# Inputs of a larger prediction.
_BATCH = 32
# Probabilities in float16 sum to 1 within this; the least one of Keras.
_NEAR_ONE, _LEAST = 1e-2, 1e-7
# More columns than any table needs.
_UNBOUNDED = 10**6


def main(argv: list[str] | None = None) -> None:
    argv = argv or command_line.arguments("evaluate")
    formats = registry.formats()
    accepted = registry.in_words(formats, "a ")
    flag_values = flags.FlagValues()
    for name, default, help, *kind in (
        (
            "model",
            None,
            f"{registry.in_words(formats)}, or folder of a run; several are "
            "compared.",
        ),
        ("dataset", None, "Data set; by default that of the run."),
        (
            "data_dir",
            None,
            "Folder of TensorFlow Datasets; by default that of the run.",
        ),
        ("image_size", None, "Size of images that differ in size.", Whole(1)),
    ):
        command_line.define(flag_values, name, default, help, *kind)
    command_line.parse(flag_values, argv, __doc__.format(models=accepted))
    with command_line.usage_errors(argv[0]):
        paths = [registry.find(path) for path in _paths(flag_values, accepted)]
        settings = settings_of_run(os.path.dirname(os.path.abspath(paths[0])))
        dataset = flag_values["dataset"].value or settings.get("dataset")
        data_dir = flag_values["data_dir"].value or settings.get("data_dir")
        if not dataset:
            raise UsageError(
                f"flag --dataset is required: --model={paths[0]} is not in "
                "the folder of a run that would tell its data set"
            )
        models = [registry.load("model", path) for path in paths]
        image_size = flag_values["image_size"].value or settings.get(
            "image_size"
        )
        data = build.load_data(dataset, data_dir, image_size)
        for model in models:
            _check_takes(model, data)
        results = []
        for model in models:
            with _busy(f"Evaluating {model.path}"):
                results.append(_evaluate(model, data))
    if len(models) == 1:
        _print(models[0], dataset, results[0])
    else:
        _print_comparison(models, dataset, results)


def _busy(what: str) -> Any:
    """Says what takes its time while it does, on a terminal."""
    return terminal.console().status(text.Text(what), spinner="line")


def _paths(flag_values: flags.FlagValues, accepted: str) -> list[str]:
    paths = (flag_values["model"].value or "").split(",")
    paths = [path for path in paths if path]
    if not paths:
        raise UsageError(
            f"flag --model is required: {accepted}, or the folder of a run"
        )
    return paths


def _check_takes(model: RunnableModel, data: AnyData) -> None:
    shape = model.input_shape
    wanted = (None, *data.image_shape)
    if len(shape) != len(wanted) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(shape, wanted)
    ):
        raise UsageError(
            f"flag --model={model.path}: does not take the images "
            f"{data.image_shape} of {data.name}, but batches {shape}"
        )


def _evaluate(model: RunnableModel, data: AnyData) -> dict[str, Any]:
    correct, losses = 0, {"logits": 0.0, "probabilities": 0.0}
    are_probabilities = _tells_probabilities(model)
    seem_probabilities = True
    for images, labels in _readable(datasets.test_batches(data), data):
        labels = labels.numpy()
        outputs = model.predict(images.numpy()).astype("float64")
        if outputs.shape != (len(labels), data.num_classes):
            raise UsageError(
                f"flag --model={model.path}: gives outputs of shape "
                f"{outputs.shape[1:]} where {data.name} has "
                f"{data.num_classes} classes"
            )
        correct += int(np.sum(outputs.argmax(axis=1) == labels))
        losses["logits"] += _loss_of_logits(outputs, labels)
        if are_probabilities is not False:
            losses["probabilities"] += _loss_of_probabilities(outputs, labels)
        seem_probabilities &= bool(
            np.all(outputs >= 0)
            and np.allclose(outputs.sum(axis=1), 1, atol=_NEAR_ONE)
        )
    if are_probabilities is None:
        are_probabilities = seem_probabilities
    taken_for = "probabilities" if are_probabilities else "logits"
    count = data.num_test
    return {
        "images": count,
        "accuracy": correct / count,
        "loss": losses[taken_for] / count,
        "taken_for": taken_for,
    }


def _tells_probabilities(model: RunnableModel) -> bool | None:
    """Whether outputs are probabilities; None if the model does not tell."""
    if model.keras_model is None or not model.keras_model.outputs:
        return None
    return ends_with_probabilities(model.keras_model)


def _loss_of_logits(logits: np.ndarray, labels: np.ndarray) -> float:
    top = logits.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    return float(np.sum(total - logits[np.arange(len(labels)), labels]))


def _loss_of_probabilities(outputs: np.ndarray, labels: np.ndarray) -> float:
    """As in Keras: outputs over their sum, none of them below 1e-7."""
    outputs = outputs / outputs.sum(axis=1, keepdims=True)
    chosen = outputs[np.arange(len(labels)), labels]
    return float(-np.sum(np.log(np.clip(chosen, _LEAST, 1))))


def _readable(batches: Any, data: AnyData) -> Iterator[Any]:
    """The batches; what cannot be read is told in a sentence."""
    try:
        yield from batches
    except tf.errors.OpError as error:
        raise UsageError(
            f"flag --dataset={data.name}: cannot be read ({reason(error)})"
        ) from error


def _print(model: RunnableModel, dataset: str, results: dict[str, Any]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_header=False, title="Evaluation")
    table.add_column(style="bold")
    table.add_column(justify="right", overflow="fold")
    table.add_row("model", folding.Name(model.path))
    table.add_row("data set", f"{dataset}, {results['images']:,} test images")
    table.add_row("test accuracy", f"{results['accuracy']:.2%}")
    table.add_row("outputs taken for", results["taken_for"])
    table.add_row("cross-entropy", f"{results['loss']:.4f}")
    console = terminal.console()
    console.print(table)
    if model.keras_model is not None:
        console.print(sparsity_summary(model.keras_model).table())


def _print_comparison(
    models: Sequence[RunnableModel],
    dataset: str,
    results: Sequence[dict[str, Any]],
) -> None:
    """A row a model; the first once more, to show the noise of times."""
    with _busy("Measuring times"):
        loads = timing.load_times(models)
        again = registry.load("model", models[0].path)
        timed = [*models, again]
        single, many = (timing.latencies(timed, n) for n in (1, _BATCH))
    paths = [os.path.abspath(model.path) for model in models]
    # Paths from where all of them are leave room for the figures.
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    title = f"On {dataset}, models of {folder}; times are {timing.kind()}"
    rows = [
        (
            model.format,
            f"{target.size(model.path):,}",
            f"{load:.2f} s",
            *(f"{1000 * seconds:.2f} ms" for seconds in times),
            f"{result['accuracy']:.2%}",
        )
        for model, result, load, *times in zip(
            models, results, loads, single, many
        )
    ]
    times = (f"{1000 * times[-1]:.2f} ms" for times in (single, many))
    rows.append(("", "", "", *times, ""))
    console = terminal.console()
    names = [os.path.relpath(path, folder) for path in paths]
    console.print(_comparison(console, title, [*names, "first again"], rows))


def _comparison(
    console: Console,
    title: str,
    names: Sequence[str],
    rows: Sequence[tuple[str, ...]],
) -> Table:
    """The table; where names do not fit in, it has their numbers."""
    parts = [folding.longest_part(name) for name in names]
    # What the table would take, however narrow the console is.
    unbounded = console.options.update(max_width=_UNBOUNDED)
    needed = console.measure(_table(title, parts, rows), options=unbounded)
    if needed.maximum <= console.width:
        return _table(title, names, rows)
    numbers = [str(number) for number, _ in enumerate(names[:-1], start=1)]
    table = _table(title, [*numbers, names[-1]], rows)
    lines = (f"{number}: {name}" for number, name in zip(numbers, names))
    table.caption = folding.Name("\n".join(lines))
    table.caption_justify = "left"
    return table


def _table(
    title: str, names: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=folding.Name(title, style="table.title"),
    )
    table.add_column("model", overflow="fold")
    for name in (
        *("format", "bytes", "load", "1 input", f"{_BATCH} inputs"),
        "accuracy",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in zip(names, rows):
        table.add_row(folding.Name(name), *row)
    return table
