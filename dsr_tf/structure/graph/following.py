"""What follows a layer in the graph of a model."""

import keras

from dsr_tf.conversion.graph import is_graph
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.graph.trace import graph_of


def normalization_after(
    structure: Structure, layer: keras.layers.Layer
) -> keras.layers.BatchNormalization | None:
    """The batch normalization that alone reads a layer, and nothing else.

    Its moving mean can hold what the layer, which has no bias, should add to
    its outputs. None if others see these outputs, or it normalizes others'.
    """
    nodes = [node for node, _ in structure.trace.calls]
    calls = [node for node in nodes if node.operation is layer]
    if len(calls) != 1:
        return None
    (output,) = calls[0].outputs
    readers = [
        node
        for node in nodes
        if any(tensor is output for tensor in node.input_tensors)
    ]
    ends = [
        tensor
        for own in structure.model._flatten_layers()
        if is_graph(own)
        for tensor in graph_of(own).outputs
    ]
    if len(readers) != 1 or any(tensor is output for tensor in ends):
        return None
    reader = readers[0].operation
    if type(reader) is not keras.layers.BatchNormalization:
        return None
    times = sum(node.operation is reader for node in nodes)
    return reader if times == 1 else None
