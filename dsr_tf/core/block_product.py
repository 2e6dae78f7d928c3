"""Products with a matrix of which some blocks are stored, the others zeros.

For each block of outputs there are as many slots, and each slot has a block
of weights and says which block of inputs it reads. So all is one batched
product of gathered inputs: dense arithmetic for active blocks, none for the
others. An empty slot holds zeros, and its gradient is 0.
"""

from collections.abc import Callable
from typing import Any

from keras import ops


def multiply(
    inputs: Any, kernel: Any, index: Any, active: Any, by_rows: bool
) -> Any:
    """The product of inputs and the matrix.

    Args:
        inputs: Tensor `(batch, in)`.
        kernel: Tensor `(output_blocks, slots * h, w)`: blocks of h inputs
            and w outputs.
        index: int32 tensor `(output_blocks, slots)`, the block of inputs
            that each slot reads, below `in / h`.
        active: Tensor `(output_blocks, slots)` of booleans, which slots are
            in use.
        by_rows: Whether examples come first in the products, which suits
            GPUs; else they come last, which suits CPUs.

    Returns:
        Tensor `(batch, output_blocks * w)`.
    """
    way = _by_rows if by_rows else _by_columns
    num_inputs = inputs.shape[-1]

    @ops.custom_gradient
    def product(inputs: Any, kernel: Any) -> tuple[Any, Callable[..., Any]]:
        outputs, gradients = way(inputs, kernel, index, num_inputs)

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            if upstream is None:
                (upstream,) = arguments
            d_inputs, d_kernel = gradients(upstream)
            return d_inputs, _only_active(d_kernel, active)

        return outputs, gradient

    return product(inputs, kernel)


def _only_active(d_kernel: Any, active: Any) -> Any:
    """The gradient of a kernel, 0 in slots that are not in use."""
    blocks = ops.reshape(d_kernel, (*active.shape, -1))
    used = ops.expand_dims(ops.cast(active, d_kernel.dtype), -1)
    return ops.reshape(blocks * used, d_kernel.shape)


def _by_columns(
    inputs: Any, kernel: Any, index: Any, num_inputs: int
) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
    num_blocks, length, width = kernel.shape
    num_slots = index.shape[1]
    height = length // num_slots
    flat = ops.reshape(index, (-1,))

    def gathered() -> Any:
        # Not kept for the gradient, which gathers again: memory.
        columns = ops.reshape(
            ops.transpose(inputs), (num_inputs // height, height, -1)
        )
        columns = ops.take(columns, flat, axis=0)
        return ops.reshape(columns, (num_blocks, length, -1))

    def gradients(upstream: Any) -> tuple[Any, Any]:
        upstream = ops.reshape(ops.transpose(upstream), (num_blocks, width, -1))
        d_kernel = ops.einsum("nkb,nob->nko", gathered(), upstream)
        parts = ops.reshape(
            ops.einsum("nko,nob->nkb", kernel, upstream),
            (num_blocks * num_slots, height, -1),
        )
        d_columns = ops.segment_sum(
            parts, flat, num_segments=num_inputs // height
        )
        return ops.transpose(ops.reshape(d_columns, (num_inputs, -1))), d_kernel

    outputs = ops.einsum("nko,nkb->nob", kernel, gathered())
    outputs = ops.reshape(outputs, (num_blocks * width, -1))
    return ops.transpose(outputs), gradients


def _by_rows(
    inputs: Any, kernel: Any, index: Any, num_inputs: int
) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
    num_blocks, length, width = kernel.shape
    num_slots = index.shape[1]
    height = length // num_slots
    flat = ops.reshape(index, (-1,))

    def gathered() -> Any:
        rows = ops.reshape(inputs, (-1, num_inputs // height, height))
        rows = ops.take(rows, flat, axis=1)
        return ops.reshape(rows, (-1, num_blocks, length))

    def gradients(upstream: Any) -> tuple[Any, Any]:
        upstream = ops.reshape(upstream, (-1, num_blocks, width))
        d_kernel = ops.einsum("bnk,bno->nko", gathered(), upstream)
        parts = ops.einsum("bno,nko->nkb", upstream, kernel)
        parts = ops.reshape(parts, (num_blocks * num_slots, height, -1))
        d_columns = ops.segment_sum(
            parts, flat, num_segments=num_inputs // height
        )
        return ops.transpose(ops.reshape(d_columns, (num_inputs, -1))), d_kernel

    outputs = ops.einsum("bnk,nko->bno", gathered(), kernel)
    return ops.reshape(outputs, (-1, num_blocks * width)), gradients
