"""Making the graph of a SavedModel small.

For a small network, a tenth of its weights take no more bytes than the graph
that TensorFlow writes around them. Two things in the graph are of use only to
people who read it: the shapes of all outputs, and long names of inner nodes.
The names of inputs, outputs and functions stay.
"""

import os
from collections.abc import Iterator
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

_SHAPES = "_output_shapes"


def compact(folder: str | os.PathLike) -> None:
    """Shorten `saved_model.pb` in a folder; what it computes stays.

    The fingerprint is optional. It is that of the longer file, so it is
    removed.
    """
    path = os.path.join(folder, "saved_model.pb")
    proto = saved_model_pb2.SavedModel()
    with open(path, "rb") as file:
        proto.ParseFromString(file.read())
    for meta in proto.meta_graphs:
        for node in meta.graph_def.node:
            node.attr.pop(_SHAPES, None)
        short = {
            function.signature.name: _shorten(function)
            for function in meta.graph_def.library.function
        }
        # Tensors of the forward pass that custom gradients need.
        for node in meta.object_graph_def.nodes:
            if node.HasField("captured_tensor"):
                tensor = node.captured_tensor
                name, colon, index = tensor.name.partition(":")
                name = short[tensor.concrete_function].get(name, name)
                tensor.name = name + colon + index
    with open(path, "wb") as file:
        file.write(proto.SerializeToString())
    fingerprint = os.path.join(folder, "fingerprint.pb")
    if os.path.exists(fingerprint):
        os.remove(fingerprint)


def _shorten(function: Any) -> dict[str, str]:
    """Number the nodes of a `FunctionDef`, and drop shapes.

    Returns:
        Dict of new names by old ones.
    """
    for attr in function.arg_attr.values():
        attr.attr.pop(_SHAPES, None)
    arguments = {argument.name for argument in function.signature.input_arg}
    free = (name for name in _numbers() if name not in arguments)
    short = {node.name: next(free) for node in function.node_def}

    def renamed(reference: str) -> str:
        """A reference with the new name of its node.

        A reference is `node:output:index` or `argument`; one that is only
        waited for begins with `^`. Gradients of `custom_gradient` wait for
        arguments, too.
        """
        control = reference[:1] == "^"
        name, colon, output = reference[control:].partition(":")
        if name in arguments:
            return reference
        return "^" * control + short[name] + colon + output

    for node in function.node_def:
        node.name = short[node.name]
        node.attr.pop(_SHAPES, None)
        node.ClearField("experimental_debug_info")
        node.input[:] = [renamed(reference) for reference in node.input]
    for references in (function.ret, function.control_ret):
        for name in list(references):
            references[name] = renamed(references[name])
    return short


def _numbers() -> Iterator[str]:
    number = 0
    while True:
        yield f"n{number:x}"
        number += 1
