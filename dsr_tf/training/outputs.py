"""What a run leaves behind when it has ended."""

import json
import os
import statistics
from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf import export
from dsr_tf import recipes
from dsr_tf.data.streaming import AnyData
from dsr_tf.export import target
from dsr_tf.layers import masked_weights
from dsr_tf.layers.emptied import emptied
from dsr_tf.structure.whole.model_cost import cost
from dsr_tf.structure.whole.summary import sparsity_summary
from dsr_tf.training import build
from dsr_tf.training import environment
from dsr_tf.training import files
from dsr_tf.training import mask_pictures
from dsr_tf.training import narrowed
from dsr_tf.training.budget_log import BudgetLog
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.training_macs import training_macs


def write(
    experiment: Experiment,
    settings: dict,
    data: AnyData,
    model: keras.Model,
    rows: Sequence[dict[str, str]],
    reallocations: Sequence[dict[str, str]],
) -> dict[str, Any]:
    """Write the model in both forms and the summary, last of all.

    Each is written whole or not at all.

    Args:
        experiment: The `Experiment`, scaled.
        settings: Its settings as they were given, for JSON.
        data: The data set.
        model: The trained model.
        rows: Rows of `metrics.csv`.
        reallocations: Rows of `reallocations.csv`.

    Returns:
        The summary.
    """
    folder = experiment.output_dir
    smaller = narrowed.written(experiment, model)
    with files.unfinished(folder) as scratch:
        for name, write_model in (
            ("model.keras", smaller.save),
            ("saved_model", lambda path: export.saved_model(smaller, path)),
        ):
            write_model(os.path.join(scratch, name))
            files.publish(
                os.path.join(scratch, name), os.path.join(folder, name)
            )
    pictures = mask_pictures.of_model(model, data.image_shape)
    if pictures.kernels:
        mask_pictures.write(folder, pictures)
    removed = narrowed.report(experiment, data, smaller)
    computed = cost(smaller)
    summary = {
        **_summary(experiment, model, rows),
        **_weights(model, smaller, reallocations),
        **_training_macs(experiment, data, model, reallocations, removed),
        "num_macs": computed.num_macs,
        "num_active_macs": computed.num_active_macs,
        **({"narrowed": removed} if removed else {}),
        "saved_model_bytes": target.size(os.path.join(folder, "saved_model")),
        **environment.describe(),
        "settings": settings,
    }
    text = json.dumps(summary, indent=2) + "\n"
    with files.written_whole(os.path.join(folder, "summary.json")) as file:
        file.write(text.encode())
    return summary


def _summary(
    experiment: Experiment,
    model: keras.Model,
    rows: Sequence[dict[str, str]],
) -> dict[str, Any]:
    """The results as plain values for JSON."""
    accuracies = [float(row["test_accuracy"]) for row in rows]
    top5 = {
        name: float(rows[-1][name])
        for name in ("test_top5_accuracy",)
        if name in rows[-1]
    }
    # The first epoch compiles; a run of one epoch has no other.
    seconds = [float(row["seconds"]) for row in rows[1:] or rows]
    phase = recipes.get(experiment.method).phase(experiment)
    return {
        "method": experiment.method,
        **({"phase": phase} if phase else {}),
        "dataset": experiment.dataset,
        "model": experiment.model,
        "seed": experiment.seed,
        "epochs": len(rows),
        "test_accuracy": accuracies[-1],
        **top5,
        "best_test_accuracy": max(accuracies),
        "seconds_per_epoch": statistics.median(seconds),
    }


def _training_macs(
    experiment: Experiment,
    data: AnyData,
    model: keras.Model,
    reallocations: Sequence[dict[str, str]],
    removed: dict[str, Any] | None,
) -> dict[str, Any]:
    """What training has multiplied, and over dense training of as many
    steps; or why that is not known."""
    recipe = recipes.get(experiment.method)
    if recipe.why_uncounted:
        return {"training_macs_unknown": recipe.why_uncounted}
    steps_per_epoch = build.steps_per_epoch(experiment, data)
    num_steps = experiment.epochs * steps_per_epoch
    steps = [int(row["step"]) for row in reallocations]
    sparsity = sparsity_summary(model)
    dense_gradients = recipe.dense_gradients(
        experiment, sparsity.num_active, steps, num_steps, steps_per_epoch
    )
    found = training_macs(reallocations, sparsity, num_steps, dense_gradients)
    dense = removed["dense_num_macs"] if removed else sparsity.num_macs
    if found is None or not dense:
        return {"training_macs_unknown": "those of some layers are not known"}
    return {
        "num_training_macs": found * experiment.batch_size,
        "training_macs_ratio": found / (3 * dense * num_steps),
    }


def _weights(
    model: keras.Model,
    smaller: keras.Model,
    reallocations: Sequence[dict[str, str]],
) -> dict[str, Any]:
    """Which weights are active, and which were.

    Args:
        model: The trained model.
        smaller: What is written of it. Where there are no masks to count,
            its weights are those that are active.
        reallocations: Rows of `reallocations.csv`.
    """
    sparsity = sparsity_summary(model)
    now = sparsity if sparsity.layers else sparsity_summary(smaller)
    log = BudgetLog.of(reallocations, sparsity)
    always = sparsity.num_parameters - sparsity.num_masked
    group_sizes = {w.path: w.group_size for w in masked_weights(model)}
    return {
        "num_parameters": now.num_parameters,
        "num_active_parameters": now.num_active_parameters,
        "largest_num_active_parameters": always + log.largest,
        "mask_density": sparsity.mask_density,
        "model_density": now.model_density,
        "num_reallocations": len(reallocations),
        "emptied": emptied(model),
        "kernels": [
            {
                **layer,
                # Of clustered kernels each weight is a group.
                "group_size": group_sizes.get(layer["path"], 1),
                "num_active_at_start": log.at_start[layer["path"]],
            }
            for layer in sparsity.to_dict()["layers"]
        ],
    }
