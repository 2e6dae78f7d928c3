"""What of a model is sparse, and how much of what it multiplies."""

import dataclasses

import keras

from dsr_tf.layers import clustered_weights
from dsr_tf.layers import masked_weights
from dsr_tf.layers import summary
from dsr_tf.layers.summary import SparsitySummary
from dsr_tf.structure.graph.trace import graph_of
from dsr_tf.structure.whole.counting import CountingTrace
from dsr_tf.structure.whole.model_cost import cost_by


def sparsity_summary(model: keras.Model) -> SparsitySummary:
    """Count the active weights of a model, kernel by kernel.

    Args:
        model: A built Keras model, with or without masked layers.

    Returns:
        A `SparsitySummary`: print it for a table; `to_dict()` for values.
        It has the MACs, see `dsr_tf.cost`, where Keras knows the graph of
        layers; those of the model where all of its layers' are known.

    Raises:
        TypeError: if `model` is no Keras model or layer.
        ValueError: if a masked layer is not built yet.
    """
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(
            "`sparsity_summary` takes a Keras model. Received: "
            f"model={model!r} of type {type(model).__name__}"
        )
    found = summary.sparsity_summary(model)
    try:
        graph_of(model)
    except ValueError:
        return found
    trace = CountingTrace(model)
    variables = {w.path: w.kernel for w in masked_weights(model)} | {
        path: w.codebook for path, w in clustered_weights(model).items()
    }
    known = {
        path: trace.weights[id(variable)].num_uses
        for path, variable in variables.items()
        if id(variable) in trace.weights
    }
    return dataclasses.replace(
        found,
        layers=[
            dataclasses.replace(layer, num_uses=known.get(layer.path))
            for layer in found.layers
        ],
        # A sum of some of the layers would be taken for that of all.
        num_macs=None if trace.uncounted else cost_by(trace, model).num_macs,
    )
