"""Networks that are written with fewer channels than flags describe."""

from typing import Any

import keras
import tensorflow as tf

from dsr_tf import conversion
from dsr_tf import data as datasets
from dsr_tf import recipes
from dsr_tf import structure
from dsr_tf.data.streaming import AnyData
from dsr_tf.recipes.network import Network
from dsr_tf.structure import ChannelSet
from dsr_tf.structure import Structure
from dsr_tf.training import architecture
from dsr_tf.training.experiment import Experiment


def written(experiment: Experiment, model: keras.Model) -> keras.Model:
    """What a run writes of the model that it has trained.

    Returns:
        With `--narrow`, a copy without the channels that its masks have
        emptied, of Keras' own layers if masks say nothing any more, or
        without what else the recipe says that has become 0. Of a recipe that
        has narrowed the network at the start, a copy. Neither has an
        optimizer, so that it needs nothing of this package to be loaded.
        Else the model itself.
    """
    if not is_narrowed(experiment):
        return model
    if experiment.narrow:
        model = recipes.get(experiment.method).narrowed(
            experiment, conversion.masked_copy(model)
        )
    return architecture.prepared(model).build()


def is_narrowed(experiment: Experiment) -> bool:
    """Whether what a run writes is narrower than what flags describe."""
    recipe = recipes.get(experiment.method)
    return bool(experiment.narrow) or recipe.prepares(experiment)


def report(
    experiment: Experiment, data: AnyData, model: keras.Model
) -> dict[str, Any] | None:
    """What has been removed from the network that flags describe.

    Args:
        experiment: The `Experiment`.
        data: The data set.
        model: The network that is written.

    Returns:
        None if nothing has; else a dict of plain values: `num_parameters`
        of the network, `dense_num_parameters` and `dense_num_macs` of the
        dense one, and `units`, a dict from the name of a set of channels of
        the dense one to how many are left, and of how many. With
        `--narrow` also its `test_accuracy`, which may differ at the borders
        of padded images: see `structure.fold_constants`.
    """
    if not is_narrowed(experiment):
        return None
    network = Network(experiment, data.image_shape, data.num_classes)
    width = recipes.get(experiment.method).width(experiment, network)
    # In a graph that nobody runs, variables have shapes only.
    with tf.Graph().as_default():
        dense = Structure(network.build(width), selections=True)
        before = dense.cost()
    now = structure.cost(conversion.stripped(model))
    return {
        "num_parameters": now.parameters,
        "dense_num_parameters": before.parameters,
        "dense_num_macs": before.macs,
        "units": units_left(dense.sets, model),
        **(
            {"test_accuracy": _accuracy(model, data)}
            if experiment.narrow
            else {}
        ),
    }


def _accuracy(model: keras.Model, data: AnyData) -> float:
    num_right = sum(
        int((model.predict_on_batch(images).argmax(-1) == labels).sum())
        for images, labels in datasets.test_batches(data).as_numpy_iterator()
    )
    return num_right / data.num_test


def units_left(
    sets: list[ChannelSet], model: keras.Model
) -> dict[str, list[int]]:
    """How many units of each set are left in a narrower network.

    Args:
        sets: Those of the larger network.
        model: The narrower one, whose variables have the same paths; those
            of a branch that has gone are not there.

    Returns:
        By name of the set, the numbers of units that are left, and of all.
        A set that lies along each axis beside others is left out, and so
        are selections where the narrower network selects nothing.
    """
    selecting = _selecting(model)
    shapes = {v.path: tuple(v.shape) for v in model.variables}
    found = {}
    for units in sets:
        if units.kind == "selection" and units.name not in selecting:
            continue
        # Others may lie along an axis too.
        parts = [
            part
            for part in units.slices
            if part.positions.size == part.variable.shape[part.axis]
        ]
        # Of what several branches add to, some may be gone.
        left = [
            shapes[p.variable.path][p.axis]
            * units.num_units
            // p.positions.size
            for p in parts
            if p.variable.path in shapes
        ]
        if parts:
            found[units.name] = [left[0] if left else 0, units.num_units]
    return found


def _selecting(model: keras.Model) -> set[str]:
    """The names of selections that a network makes, by `keras.ops.take`."""
    found = set()
    for layer in model.layers:
        for tensor in layer._inbound_nodes[0].input_tensors:
            operation = tensor._keras_history.operation
            if type(operation).__name__ == "Take":
                found.add(f"{layer.name}/selection")
    return found
