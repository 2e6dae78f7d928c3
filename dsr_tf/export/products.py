"""Kernels that a SavedModel does not make dense when it is loaded.

What layers store and multiply active weights only, they are served so; so
are large and very sparse Dense kernels.
"""

import keras

from dsr_tf.export import sparse_matmul
from dsr_tf.export.block_matmul import BlockKernel
from dsr_tf.export.product_kernel import ProductKernel
from dsr_tf.export.sparse_matmul import SparseKernel
from dsr_tf.layers import masked_weights

MODES = ("auto", "never", "always")

# By the storage of the layer. Tables are looked up, not multiplied by.
_KINDS: dict[str, type[ProductKernel]] = {
    "blocks": BlockKernel,
    "lists": SparseKernel,
}


def chosen(model: keras.Model, mode: str) -> dict[str, type[ProductKernel]]:
    """How kernels are served that stay sparse.

    Args:
        model: A Keras model.
        mode: `"auto"`, as layers store them, and masked kernels for which
            it is faster; `"always"`, all masked kernels of Dense layers that
            compute in float32 too; `"never"`, none.

    Returns:
        Dict from the path of a kernel to a class.

    Raises:
        ValueError: if `mode` is none of these.
    """
    if mode not in MODES:
        raise ValueError(
            "`sparse_matmul` must be one of auto, never and always. "
            f"Received: sparse_matmul={mode!r}"
        )
    found: dict[str, type[ProductKernel]] = {}
    for weight in masked_weights(model):
        if mode == "never":
            continue
        if weight.variable.is_stored:
            if kind := _KINDS.get(weight.layer.storage):
                found[weight.path] = kind
        elif sparse_matmul.pays(weight) or (
            mode == "always" and sparse_matmul.can_be_served(weight)
        ):
            found[weight.path] = SparseKernel
    return found
