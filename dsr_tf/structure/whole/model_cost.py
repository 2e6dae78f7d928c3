"""What a model costs, dense and active: parameters and MACs of each layer."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import keras
from rich.table import Table

from dsr_tf.core.named_numbers import NamedNumbers
from dsr_tf.core.printing import printed
from dsr_tf.layers import clustered_weights
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.structure.whole.counting import CountingTrace


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What one layer costs.

    Attributes:
        path: Names that lead to it, from the model down.
        num_parameters: Weights that are made to be trained, biases and
            scales among them.
        num_active_parameters: Those of them that are active.
        num_macs: Multiplications for one example, see `cost`; None where
            nobody has said how often the layer multiplies its weights.
        num_active_macs: Those of them by active weights; None alike.
    """

    path: str
    num_parameters: int
    num_active_parameters: int
    num_macs: int | None
    num_active_macs: int | None


@dataclasses.dataclass(frozen=True)
class ModelCost:
    """What a model costs, a line for each layer.

    Attributes:
        name: The model's name.
        layers: List of `LayerCost`, of layers that have parameters or
            multiply, in their order.
        uncounted: Paths of layers whose MACs are not known. Those of the
            model are the sum of the others.
    """

    name: str
    layers: list[LayerCost]
    uncounted: tuple[str, ...] = ()

    @property
    def num_parameters(self) -> int:
        """All that the model can learn."""
        return sum(layer.num_parameters for layer in self.layers)

    @property
    def num_active_parameters(self) -> int:
        """All parameters but the inactive weights."""
        return sum(layer.num_active_parameters for layer in self.layers)

    @property
    def num_macs(self) -> int:
        """Multiply-adds for one example, those with zeros included."""
        return sum(layer.num_macs or 0 for layer in self.layers)

    @property
    def num_active_macs(self) -> int:
        """Multiply-adds for one example, those of active weights only."""
        return sum(layer.num_active_macs or 0 for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The same as a dict of plain values, ready for JSON."""
        return {
            "name": self.name,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            "num_parameters": self.num_parameters,
            "num_active_parameters": self.num_active_parameters,
            "num_macs": self.num_macs,
            "num_active_macs": self.num_active_macs,
            "uncounted": list(self.uncounted),
        }

    def table(self) -> Table:
        """The same as a `rich` table."""
        unknown = ", ".join(self.uncounted)
        table = NamedNumbers(
            f"Cost of {self.name}",
            "layer",
            ("parameters", "active", "MACs", "active MACs"),
            f"MACs are not known of: {unknown}" if unknown else "",
        )

        def add(name: str, numbers: Iterable[int | None]) -> None:
            cells = ("–" if n is None else f"{n:,}" for n in numbers)
            table.add_line(name, *cells)

        for layer in self.layers:
            path, *numbers = dataclasses.astuple(layer)
            add(path, numbers)
        table.add_section()
        add(
            "all layers",
            (
                self.num_parameters,
                self.num_active_parameters,
                self.num_macs,
                self.num_active_macs,
            ),
        )
        return table

    def __str__(self) -> str:
        return printed(self.table())

    __repr__ = __str__


def cost(model: keras.Model) -> ModelCost:
    """What a model costs for one example, dense and active.

    A MAC is a multiplication by a number of a kernel, with the addition that
    follows it; papers that count both operations print twice as many. Each
    weight counts as often as the layer multiplies by it: `Dense` for every
    position, convolutions for every position of the output (transposed ones:
    of the input), on padding as elsewhere, recurrent layers for every step.
    Attention multiplies queries, keys and values as well, where nothing is
    sparse. Of biases, normalization, activations, and tables that are looked
    up, nothing counts. An axis of unknown length counts as of length 1.

    Active MACs are those of active weights, exactly: what would be left for
    kernels that skip all others. Masked kernels are multiplied whole, as
    `num_macs` says, and what the storages of `dsr_tf.with_storage` compute is
    between the two. This is what "inference FLOPs" of sparse networks are
    in papers, as in Evci et al. (2020), Appendix H, who count so from the
    densities of layers.

    Args:
        model: A built functional or Sequential model: dense, masked, with
            any storage, tied or clustered.

    Returns:
        A `ModelCost`: print it for a table; `to_dict()` for values.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if Keras does not know its graph of layers.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`cost` is of a Keras model. Received: model="
            f"{model!r} of type {type(model).__name__}"
        )
    return cost_by(CountingTrace(model), model)


def cost_by(trace: CountingTrace, model: keras.Model) -> ModelCost:
    """As `cost`, by a walk over the graph of the model."""
    # Of weights that are not all there: how many there are, and are active.
    weights = {
        id(weight.kernel): (weight.size, weight.num_active)
        for weight in masked_weights(model)
    } | {
        id(weight.codebook): (weight.size, weight.num_active)
        for weight in clustered_weights(model).values()
    }
    products = _products(trace)
    layers: list[LayerCost] = []
    seen: set[int] = set()
    for layer, path in layers_with_paths(model):
        own = [v for v in layer._trainable_variables if id(v) not in seen]
        seen |= {id(variable) for variable in own}
        parameters = active = 0
        macs = active_macs = products.get(path, 0)
        for variable in own:
            found = trace.weights.get(id(variable))
            size = math.prod(variable.shape)
            num_weights, num_active = weights.get(id(variable), (size, size))
            parameters += num_weights
            active += num_active
            if found is not None and id(variable) in weights:
                macs += num_weights * found.num_uses
                active_macs += num_active * found.num_uses
            elif found is not None:  # A bank stands for a whole kernel.
                num_products = math.prod(found.shape) * found.num_uses
                macs += num_products
                active_macs += num_products
        if not (own or macs):
            continue
        known = not any(
            f"{path}/".startswith(f"{whole}/") for whole in trace.uncounted
        )
        layers.append(
            LayerCost(
                path or layer.name,
                parameters,
                active,
                macs if known else None,
                active_macs if known else None,
            )
        )
    return ModelCost(model.name, layers, tuple(trace.uncounted))


def _products(trace: CountingTrace) -> dict[str, int]:
    """MACs of layers that no weight takes part in, by path."""
    found: dict[str, int] = {}
    for path, constant, labels in trace.work:
        count = constant * math.prod(len(array) for array in labels)
        found[path] = found.get(path, 0) + count
    return found
