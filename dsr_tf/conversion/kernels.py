"""Kernels, between kinds of layers that keep them differently."""

from typing import Any

import numpy as np
from keras import ops

from dsr_tf.layers import Clustered
from dsr_tf.layers import Hashed
from dsr_tf.layers.masked import stored


def kernels_of(layer: Any) -> tuple[str, ...]:
    """The names of the kernels of a masked, tied or clustered layer."""
    if isinstance(layer, Hashed):
        return ("kernel",)
    if isinstance(layer, Clustered):
        return tuple(layer.clustered_variables)
    return layer.masked_names


def convert_kernel(old: Any, new: Any, name: str, beside: bool) -> None:
    """Copy one kernel between kinds of layers that keep it differently.

    Args:
        old, new: The layers.
        name: The name that they have it under.
        beside: Whether what LoRA adds stays beside it.

    Raises:
        ValueError: if the two differ in shape.
    """
    kernel = stored(old, name) if beside else getattr(old, name)
    kernel = np.array(ops.convert_to_numpy(kernel))
    shape = tuple(getattr(new, name).shape)
    if kernel.shape != shape:
        raise ValueError(
            f"The kernel {kernel.shape} of layer '{old.name}' cannot be "
            f"that of a layer with a kernel {shape}."
        )
    before, after = (stored(layer, name) for layer in (old, new))
    if isinstance(new, (Hashed, Clustered)):
        new.set_kernel(kernel, name)
    else:
        after.assign(kernel)
    # LoRA freezes the kernel of `old`, which says nothing of `new`.
    if not getattr(old, "lora_enabled", False):
        after.trainable = before.trainable
