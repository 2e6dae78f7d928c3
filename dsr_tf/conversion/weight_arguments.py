"""The arguments that layers have for their weights, such as regularizers.

Keras' layers take one for each weight, `kernel_regularizer`, keep it in an
attribute and write it into their configuration, from which files and copies
make the layer anew. Where a configuration does not say it, it would be lost.
"""

import dataclasses
from typing import Any

import keras

from dsr_tf.conversion.graph import is_graph
from dsr_tf.layers.masked_weights import layers_with_paths


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """A trainable weight of a model and where it is.

    Attributes:
        path: Names of layers from the model down, then that of the variable.
        variable: The variable.
        layer: The layer that has added it.
        holder: The layer in the graph of the model that the layer is in, or
            that it is; where there is no graph, the model.
    """

    path: str
    variable: keras.Variable
    layer: Any
    holder: Any

    def argument(self, what: str) -> str:
        """The attribute of the layer that keeps its argument for the weight.

        Args:
            what: `"regularizer"` or `"constraint"`.

        Raises:
            ValueError: if the layer has none, or configurations do not say
                what it is.
        """
        if getattr(self.layer, "lora_enabled", False):
            raise ValueError(
                f"'{self.path}' is part of a layer with LoRA, whose matrices "
                f"the {what} would be one of as well: strip or merge it first."
            )
        name = self.variable.name
        stems = [name, name.removesuffix("_kernel")]
        if name == "kernel":
            stems.append("depthwise")
        for stem in stems:
            attribute = f"{stem}_{what}"
            if attribute not in vars(self.layer):
                continue
            if self._is_told(attribute):
                return attribute
            raise ValueError(
                f"'{self.path}' cannot get a {what}, which files would not "
                f"keep: the configuration of {_named(self.holder)} does not "
                f"say what the `{attribute}` of "
                f"{_named(self.layer)} is."
            )
        raise ValueError(
            f"'{self.path}' cannot get a {what}: {_named(self.layer)} has no "
            f"argument `{name}_{what}`, or does not keep it under that name."
        )

    def _is_told(self, attribute: str) -> bool:
        """Whether the configuration says what an attribute is."""
        attributes, mark = vars(self.layer), _Mark()
        given = attributes[attribute]
        # Past Keras, which would track what is set.
        attributes[attribute] = mark
        try:
            config = self.holder.get_config()
        except Exception:  # Layers of users raise what they like.
            return False
        finally:
            attributes[attribute] = given
        return any(
            part is mark or (isinstance(part, str) and part == _SIGN)
            for part in keras.tree.flatten(config)
        )


# A text that nothing else in a configuration is.
_SIGN = "what dsr_tf looks for in a configuration"


class _Mark:
    """Stands for a regularizer or constraint in a configuration."""

    def get_config(self) -> dict[str, Any]:
        return {"sign": _SIGN}


def places(model: keras.Model) -> list[Place]:
    """The trainable weights of a model, once each, also those frozen now."""
    holders = _holders(model)
    found, seen = [], set()
    for layer, path in layers_with_paths(model):
        # Wrappers of Keras' hold what is of the layer inside.
        inside = {id(v) for part in layer._layers for v in part.variables}
        for variable in layer._trainable_variables:
            if id(variable) not in seen and id(variable) not in inside:
                seen.add(id(variable))
                name = f"{path}/{variable.name}".lstrip("/")
                holder = holders.get(id(layer), model)
                found.append(Place(name, variable, layer, holder))
    return found


def _holders(model: keras.Model) -> dict[int, keras.layers.Layer]:
    """For each layer the one in a graph that it is, or is inside of."""
    graphs, in_graphs = [model] if is_graph(model) else [], []
    for graph in graphs:
        for layer in graph._layers:
            if is_graph(layer) and layer not in graphs:
                graphs.append(layer)
            elif isinstance(layer, keras.layers.Layer):
                in_graphs.append(layer)
    holders = {id(layer): layer for layer in in_graphs}
    for layer in in_graphs:
        for part in layer._flatten_layers():
            holders.setdefault(id(part), layer)
    return holders


def _named(layer: keras.layers.Layer) -> str:
    return f"layer '{layer.name}' ({type(layer).__name__})"
