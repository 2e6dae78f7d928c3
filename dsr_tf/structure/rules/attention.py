"""Attention: whole heads go, and what it puts out."""

from typing import Any

import keras
import numpy as np

from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.rules.dense import check_extras
from dsr_tf.structure.rules.registry import register


@register(keras.layers.MultiHeadAttention)
def multi_head_attention(call: Call) -> list[Channels]:
    layer = call.layer
    heads = call.fresh(layer.num_heads, "heads")
    call.resizes(num_heads=heads)
    query = call.channels_of(_tensors(call)[0]).labels
    sizes = (layer.key_dim, layer.value_dim)
    outputs = _attention(call, heads, heads, sizes)
    shape = layer._output_shape
    if shape is not None:
        if not isinstance(shape, int) and len(shape) != 1:
            raise CannotFollow("its outputs have several axes")
        at = () if isinstance(shape, int) else (0,)
        call.resizes_at(("output_shape", *at), outputs)
    else:
        # It puts out as many as it is asked with.
        call.unite(query, outputs)
    return _results(call, heads, outputs)


@register(keras.layers.GroupQueryAttention)
def grouped_query_attention(call: Call) -> list[Channels]:
    layer = call.layer
    heads = call.fresh(layer.num_key_value_heads, "heads")
    # Several heads that ask share one that is asked.
    asking = np.repeat(heads, layer.num_query_heads // len(heads))
    call.resizes(num_key_value_heads=heads, num_query_heads=asking)
    query, _, value = (call.along(-1, tensor) for tensor in _tensors(call))
    outputs = _attention(call, asking, heads, (layer.head_dim, layer.head_dim))
    # Keras wants all of them to be as long.
    call.unite(query, outputs)
    call.unite(query, value)
    return _results(call, asking, outputs)


def _results(
    call: Call, heads: np.ndarray, outputs: np.ndarray
) -> list[Channels]:
    """What attention puts out: values, and scores if it is asked for them."""
    return [Channels(-1, outputs), Channels(-3, heads)][: len(call.outputs)]


def _tensors(call: Call) -> tuple[Any, Any, Any]:
    """Query, key and value."""
    names = ("query", "value", "key")
    given = dict(zip(names, call.arguments)) | call.keywords
    query, value = given["query"], given["value"]
    key = given.get("key")
    return query, value if key is None else key, value


def _attention(
    call: Call, asking: np.ndarray, asked: np.ndarray, sizes: tuple[int, int]
) -> np.ndarray:
    """Label all projections; returns the labels of the outputs."""
    layer = call.layer
    query, key, value = _tensors(call)
    if len(query.shape) != 3 or len(value.shape) != 3:
        raise CannotFollow("it attends along several axes")
    parts = [("_query_dense", query, asking), ("_key_dense", key, asked)]
    parts.append(("_value_dense", value, asked))
    if getattr(layer, "_gate_dense", None) is not None:
        parts.append(("_gate_dense", query, asking))
    for name, tensor, heads in parts:
        projection = getattr(layer, name)
        check_extras(call.inside(projection))
        call.weight(
            "kernel",
            {0: ("in", call.along(-1, tensor)), 1: ("out", heads)},
            tensor.shape[1] or 1,
            layer=projection,
        )
        call.weight("bias", {0: ("bias", heads)}, layer=projection)
    projection = layer._output_dense
    outputs = call.fresh(projection.kernel.shape[-1])
    call.weight(
        "kernel",
        {0: ("in", asking), -1: ("out", outputs)},
        query.shape[1] or 1,
        layer=projection,
    )
    call.weight("bias", {-1: ("bias", outputs)}, layer=projection)
    # The products of queries and keys, and of what comes of them and values.
    num_pairs = (query.shape[1] or 1) * (value.shape[1] or 1)
    call.work(num_pairs * sum(sizes), asking)
    return outputs
