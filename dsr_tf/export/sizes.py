"""What a model takes on disk, and what it would have to take."""

import math

import keras
import numpy as np
from keras import ops

from dsr_tf.layers import MaskedWeight
from dsr_tf.layers import clustered_weights
from dsr_tf.layers import masked_weights


def dense_bytes(model: keras.Model) -> int:
    """Bytes of a model's parameters, each as it is, zeros too."""
    clustered = sum(
        weight.size * _bytes(weight.codebook) // weight.codebook.shape[0]
        for weight in clustered_weights(model).values()
    )
    return clustered + sum(_bytes(variable) for variable in _stored(model))


def bound_bytes(model: keras.Model) -> float:
    """Bytes that a model without structure needs at least.

    That is the sum of three parts: the values of the active weights; their
    places, by the entropy of the density of all masked kernels together; and
    everything else as it is. Of a clustered kernel it is the codebook, the
    entropy of its codes, and that of its density.
    """
    masked = masked_weights(model)
    kernels = {id(weight.kernel) for weight in masked}
    rest = [v for v in _stored(model) if id(v) not in kernels]
    active = sum(weight.num_active for weight in masked)
    values = sum(
        weight.num_active * _bytes(weight.kernel) // weight.size
        for weight in masked
    )
    places = sum(weight.size for weight in masked)
    share = active / max(1, places)
    bits = places * _entropy(share, 1 - share)
    for weight in clustered_weights(model).values():
        values += _bytes(weight.codebook)
        # That of all codes, pruned ones among them, is the sum of both.
        _, counts = np.unique(
            ops.convert_to_numpy(weight.codes), return_counts=True
        )
        bits += weight.size * _entropy(*(counts / weight.size))
    return values + bits / 8 + sum(_bytes(variable) for variable in rest)


def _entropy(*shares: float) -> float:
    return -sum(p * math.log2(p) for p in shares if p > 0)


def _stored(model: keras.Model) -> list[keras.Variable]:
    """Variables that inference reads, without masks and clustered kernels."""
    unread = {id(variable) for variable in model.metrics_variables}
    for weight in masked_weights(model):
        unread |= {id(variable) for variable in unread_of(weight)}
    for kernel in clustered_weights(model).values():
        unread |= {id(kernel.codebook), id(kernel.codes)}
    return [v for v in model.weights if id(v) not in unread]


def unread_of(weight: MaskedWeight) -> list[keras.Variable]:
    """Variables of a masked layer that an export leaves out.

    To predict, a model reads neither masks nor what callbacks keep, and what
    LoRA's matrices add is in the kernel.
    """
    layer = weight.layer
    lora = (f"lora_{weight.variable.name}_{which}" for which in "ab")
    found = [getattr(layer, name, None) for name in lora]
    found = [variable for variable in found if variable is not None]
    return [*weight.variable.unread, *layer.state_variables, *found]


def _bytes(variable: keras.Variable) -> int:
    return ops.convert_to_numpy(variable).nbytes
