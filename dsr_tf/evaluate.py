"""Test accuracy of a trained model: `python -m dsr_tf.evaluate --model=PATH`.

PATH is a SavedModel, a .keras file, or the folder of a run. The data set is
the one that the run was trained on, unless --dataset names another.
"""

import os
import sys

import numpy as np
from absl import flags
from rich import box
from rich.console import Console
from rich.table import Table

from dsr_tf import command_line
from dsr_tf import data as datasets
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import Whole
from dsr_tf.summary import sparsity_summary
from dsr_tf.training import build
from dsr_tf.training.saved import load_keras
from dsr_tf.training.saved import loading
from dsr_tf.training.saved import settings_of_run


def main(argv=None):
    argv = argv or ["dsr_tf.evaluate", *sys.argv[1:]]
    flag_values = flags.FlagValues()
    for name, default, help, *kind in (
        ("model", None, "SavedModel, .keras file, or folder of a run."),
        ("dataset", None, "Data set; by default that of the run."),
        (
            "data_dir",
            None,
            "Folder of TensorFlow Datasets; by default that of the run.",
        ),
        ("image_size", None, "Size of images that differ in size.", Whole(1)),
    ):
        command_line.define(flag_values, name, default, help, *kind)
    command_line.parse(flag_values, argv, __doc__)
    with command_line.usage_errors(argv[0]):
        path = _find_model(flag_values["model"].value)
        settings = settings_of_run(os.path.dirname(os.path.abspath(path)))
        dataset = flag_values["dataset"].value or settings.get("dataset")
        data_dir = flag_values["data_dir"].value or settings.get("data_dir")
        if not dataset:
            raise UsageError(
                f"flag --dataset is required: --model={path} is not in the "
                "folder of a run that would tell its data set"
            )
        predict, input_shape, keras_model = _load(path)
        image_size = flag_values["image_size"].value or settings.get(
            "image_size"
        )
        data = build.load_data(dataset, data_dir, image_size)
        if not input_shape.is_compatible_with((None, *data.image_shape)):
            raise UsageError(
                f"flag --model={path}: does not take the images "
                f"{data.image_shape} of {dataset}, but batches {input_shape}"
            )
        results = _evaluate(path, predict, data)
    _print(path, dataset, results, keras_model)


def _find_model(path):
    if not path:
        raise UsageError(
            "flag --model is required: a SavedModel, a .keras file or the "
            "folder of a run"
        )
    if os.path.isdir(os.path.join(path, "saved_model")):
        path = os.path.join(path, "saved_model")
    is_file = os.path.isfile(path) and path.endswith(".keras")
    if not is_file and not os.path.isfile(os.path.join(path, "saved_model.pb")):
        raise UsageError(
            f"flag --model={path}: must be a SavedModel, a .keras file or "
            "the folder of a finished run"
        )
    return path


def _load(path):
    """Load a model.

    Returns:
        A function from image batches to logits, the shape of a batch that it
        takes, and the Keras model if it is one.
    """
    import tensorflow as tf

    if path.endswith(".keras"):
        model = load_keras("model", path)
        with loading("model", path):
            _check_one_input(path, len(model.inputs))
            shape = tf.TensorShape(model.inputs[0].shape)
        return model.predict_on_batch, shape, model
    with loading("model", path):
        loaded = tf.saved_model.load(path)
        serve = loaded.signatures["serving_default"]
    inputs = serve.structured_input_signature[1]
    _check_one_input(path, len(inputs))
    ((name, spec),) = inputs.items()

    def predict(images):
        (logits,) = serve(**{name: tf.convert_to_tensor(images)}).values()
        return logits.numpy()

    # The signature needs the object that holds its weights.
    predict.loaded = loaded
    return predict, spec.shape, None


def _check_one_input(path, num_inputs):
    if num_inputs != 1:
        raise UsageError(
            f"flag --model={path}: must take images only, but has "
            f"{num_inputs} inputs"
        )


def _evaluate(path, predict, data):
    correct, losses = 0, 0.0
    for images, labels in datasets.test_batches(data):
        labels = labels.numpy()
        logits = predict(images.numpy()).astype("float64")
        if logits.shape != (len(labels), data.num_classes):
            raise UsageError(
                f"flag --model={path}: gives outputs of shape "
                f"{logits.shape[1:]} where {data.name} has "
                f"{data.num_classes} classes"
            )
        correct += int(np.sum(logits.argmax(axis=1) == labels))
        top = logits.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
        losses += float(np.sum(total - logits[np.arange(len(labels)), labels]))
    count = data.num_test
    return {
        "images": count,
        "accuracy": correct / count,
        "loss": losses / count,
    }


def _print(path, dataset, results, keras_model):
    table = Table(box=box.SIMPLE_HEAD, show_header=False, title="Evaluation")
    table.add_column(style="bold")
    table.add_column(justify="right", overflow="fold")
    table.add_row("model", path)
    table.add_row("data set", f"{dataset}, {results['images']:,} test images")
    table.add_row("test accuracy", f"{results['accuracy']:.2%}")
    table.add_row("cross-entropy", f"{results['loss']:.4f}")
    console = Console()
    console.print(table)
    if keras_model is not None:
        console.print(sparsity_summary(keras_model).table())


if __name__ == "__main__":
    main()
