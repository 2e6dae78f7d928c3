"""What follows a layer in the graph of a model."""

import collections
from typing import Any

import keras

from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.graph.trace import graph_of


class Following:
    """Who makes the tensors of a graph, and who reads them.

    Args:
        structure: The `Structure` of a model.
    """

    def __init__(self, structure: Structure) -> None:
        models = [x.operation for x in structure.trace.models]
        graphs = [graph_of(model) for model in (structure.model, *models)]
        # (Those of a model that is called twice are there twice.)
        nodes = [
            node
            for graph in graphs
            for together in graph._nodes_by_depth.values()
            for node in together
            if not node.is_input
        ]
        self._order = {
            id(node.operation): number
            for number, (node, _) in enumerate(structure.trace.calls)
        }
        self._times = collections.Counter(id(n.operation) for n in nodes)
        self._calls = {id(node.operation): node for node in nodes}
        self._made_by = {id(x): node for node in nodes for x in node.outputs}
        self._readers: dict[int, list[Any]] = collections.defaultdict(list)
        for node in nodes:
            for tensor in node.input_tensors:
                self._readers[id(tensor)].append(node.operation)
        for graph in graphs:
            for tensor in graph.outputs:
                self._readers[id(tensor)].append(None)

    def maker_of(self, tensor: Any) -> Any:
        """The node of the call that makes a tensor; None for inputs."""
        return self._made_by.get(id(tensor))

    def readers_of(self, tensor: Any) -> list[Any]:
        """The operations that read a tensor; None for who gets it from a
        model."""
        return self._readers[id(tensor)]

    def is_after(self, first: Any, second: Any) -> bool:
        """Whether a layer may read what comes from another one.

        What comes later in the walk of `Trace` may, and so may layers inside
        of others.
        """
        later = len(self._order)
        return self._order.get(id(first), later) > self._order[id(second)]

    def is_called_once(self, operation: Any) -> bool:
        """Whether an operation is called, and only once."""
        return self._times[id(operation)] == 1

    def output_of(self, operation: Any) -> Any:
        """The only tensor that an operation makes.

        None if there are more, or for a layer inside of another one.
        """
        if not self.is_called_once(operation):
            return None
        outputs = self._calls[id(operation)].outputs
        return outputs[0] if len(outputs) == 1 else None

    def normalization_after(
        self, layer: keras.layers.Layer
    ) -> keras.layers.BatchNormalization | None:
        """The batch normalization that alone reads a layer, and nothing else.

        Its moving mean can hold what the layer, which has no bias, should
        add to its outputs. None if others see these outputs, or it
        normalizes others'.
        """
        output = self.output_of(layer)
        if output is None or len(self.readers_of(output)) != 1:
            return None
        (reader,) = self.readers_of(output)
        if type(reader) is not keras.layers.BatchNormalization:
            return None
        return reader if self.is_called_once(reader) else None
