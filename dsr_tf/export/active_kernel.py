"""Kernels as forward passes read them."""

import numpy as np
from keras import ops

from dsr_tf.layers import MaskedWeight


def active_kernel(weight: MaskedWeight) -> np.ndarray:
    """The kernel as the forward pass reads it, an array.

    With what LoRA adds to it, and zeros where the mask says so: in the
    middle of training by some methods, optimizers move inactive weights.
    """
    layer = weight.layer
    kernel = ops.convert_to_numpy(weight.kernel)
    if getattr(layer, "lora_enabled", False):
        merged = ops.convert_to_numpy(getattr(layer, weight.variable.name))
        kernel = merged.astype(kernel.dtype)
    mask = weight.grouping.spread(ops.convert_to_tensor(weight.mask))
    return np.where(ops.convert_to_numpy(mask), kernel, kernel.dtype.type(0))
