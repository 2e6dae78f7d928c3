"""What a model takes on disk, and what it would have to take."""

import math

import keras
from keras import ops

from dsr_tf.layers import MaskedWeight
from dsr_tf.layers import masked_weights


def dense_bytes(model: keras.Model) -> int:
    """Bytes of a model's parameters, each as it is, zeros too."""
    return sum(_bytes(variable) for variable in _stored(model))


def bound_bytes(model: keras.Model) -> float:
    """Bytes that a model without structure needs at least.

    That is the sum of three parts: the values of the active weights; their
    places, by the entropy of the density of all masked kernels together; and
    everything else as it is.
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
    bits = places * _entropy(active / places) if places else 0
    return values + bits / 8 + sum(_bytes(variable) for variable in rest)


def _entropy(share: float) -> float:
    return -sum(p * math.log2(p) for p in (share, 1 - share) if p > 0)


def _stored(model: keras.Model) -> list[keras.Variable]:
    """Variables that inference reads, without masks."""
    unread = {id(variable) for variable in model.metrics_variables}
    for weight in masked_weights(model):
        unread |= {id(variable) for variable in unread_of(weight)}
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
    return [weight.mask, *layer.state_variables, *found]


def _bytes(variable: keras.Variable) -> int:
    return ops.convert_to_numpy(variable).nbytes
