"""The network that an experiment describes, and its layers with masks."""

import functools
import math
import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dsr_tf import conversion
from dsr_tf import models
from dsr_tf.command_line import UsageError
from dsr_tf.core import distribution as distributions
from dsr_tf.core import memory
from dsr_tf.models import registry

# A weight, its gradient, and a copy while masks are made.
_BYTES_A_PARAMETER = 3 * 4
_BYTES_A_SLOT = 4


class Network:
    """The dense network of an experiment, at any width.

    Args:
        experiment: Object with an attribute for each flag of a run.
        image_shape: Shape of an image.
        num_classes: Number of logits.
    """

    def __init__(
        self,
        experiment: Any,
        image_shape: Sequence[int],
        num_classes: int,
    ) -> None:
        self.image_shape = tuple(image_shape)
        self._name = experiment.model
        self._arguments = {
            **registry.arguments(experiment.model, experiment),
            "input_shape": self.image_shape,
            "num_classes": num_classes,
        }

    def build(self, width: float) -> keras.Model:
        """A new model, with newly drawn weights."""
        arguments = {**self._arguments, "width": width}
        return models.MODELS[self._name](**arguments)

    def num_parameters(self, width: float) -> int:
        """How many it would have."""
        return self._sizes(width)[0]

    def num_outputs(self, width: float) -> int:
        """What its kernels would give for an image, which is kept for the
        gradient."""
        return self._sizes(width)[1]

    def _sizes(self, width: float) -> tuple[int, int]:
        arguments = {**self._arguments, "width": width}
        return _sizes(self._name, tuple(sorted(arguments.items())))


@functools.cache
def _sizes(name: str, arguments: tuple) -> tuple[int, int]:
    # In a graph that nobody runs, variables have shapes only.
    with tf.Graph().as_default():
        network = models.MODELS[name](**dict(arguments))
        return (
            num_parameters(network),
            sum(map(_num_outputs, network.layers)),
        )


def _num_outputs(layer: keras.layers.Layer) -> int:
    """What the kernels of a layer give for an image."""
    if hasattr(layer, "kernel"):
        return math.prod(layer.output.shape[1:])
    # Attention has its projections inside, each for as many positions.
    num_positions = math.prod(layer.output.shape[1:-1])
    return num_positions * sum(
        _num_units(part)
        for part in layer._flatten_layers()
        if isinstance(part, keras.layers.EinsumDense)
    )


def _num_units(layer: keras.layers.EinsumDense) -> int:
    """What a layer gives for a position: the axes of its kernel that are left
    in its output."""
    operands, output = layer.equation.split("->")
    axes = zip(layer.kernel.shape, operands.split(",")[1], strict=True)
    return math.prod(size for size, letter in axes if letter in output)


def num_parameters(network: keras.Model) -> int:
    """How many parameters a network learns."""
    return sum(math.prod(v.shape) for v in network.trainable_variables)


def check_memory(num_parameters: int, what: str, num_slots: int = 1) -> None:
    """Refuse to train more parameters than memory suffices for.

    Args:
        num_parameters: How many there are.
        what: What they are of, the beginning of the sentence.
        num_slots: Numbers that the optimizer keeps of each.

    Raises:
        ValueError: if it does not suffice.
    """
    num_bytes = _BYTES_A_PARAMETER + _BYTES_A_SLOT * num_slots
    memory.check(num_bytes * num_parameters, what)


def filters(experiment: Any, dense: keras.Model) -> Callable | None:
    """Which layers change: all that `--keep_dense` does not keep dense.

    Returns:
        Function that says whether a layer changes; None if all do.

    Raises:
        UsageError: if no layer does, or an expression finds none to keep.
    """
    own = {"paper": models.PAPER_DENSE[experiment.model], "none": []}
    kept = own.get(experiment.keep_dense, [experiment.keep_dense])
    if experiment.keep_dense not in own:
        _check_found(experiment, dense)
    if experiment.sparse_shortcuts:
        kept = [pattern for pattern in kept if "shortcut" not in pattern]
    if not kept:
        return None

    def changes(layer: keras.layers.Layer) -> bool:
        return not any(re.search(pattern, layer.name) for pattern in kept)

    if not any(changes(x) for x in dense.layers if hasattr(x, "kernel")):
        raise UsageError(
            f"flag --keep_dense={experiment.keep_dense}: then "
            f"{experiment.model} has no layer to mask"
        )
    return changes


def _check_found(experiment: Any, dense: keras.Model) -> None:
    """Refuse an expression that no layer with weights is called by."""
    names = [layer.name for layer in dense.layers if layer.weights]
    if any(re.search(experiment.keep_dense, name) for name in names):
        return
    kernels = [x.name for x in dense.layers if hasattr(x, "kernel")]
    raise UsageError(
        f"flag --keep_dense={experiment.keep_dense}: must be paper, none, or "
        f"a regular expression that finds layers of {experiment.model} by "
        f"name, such as {kernels[0]} or {kernels[-1]}"
    )


def sparsify(experiment: Any, dense: keras.Model) -> keras.Model:
    """The network with masks of the density that the experiment says."""
    return conversion.sparsify(
        dense,
        experiment.sparsity,
        distribution=distributions.parse(experiment.distribution),
        filters=filters(experiment, dense),
        granularity=experiment.granularity,
        seed=experiment.seed,
        storage=experiment.storage,
        slack=experiment.slack,
    )


def masked(experiment: Any, dense: keras.Model) -> keras.Model:
    """The network with masks in which all weights are active, to prune."""
    return conversion.sparsify(
        dense,
        0.0,
        filters=filters(experiment, dense),
        granularity=experiment.granularity,
        seed=experiment.seed,
        storage=experiment.storage,
        slack=experiment.slack,
    )
