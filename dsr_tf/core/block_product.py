"""Products with a matrix of which some blocks are stored, the others zeros.

For each block of outputs there are as many slots, and each slot has a block
of weights and says which block of inputs it reads. So all is one batched
product of gathered inputs: dense arithmetic for active blocks, none for the
others. An empty slot holds zeros, and its gradient is 0.

GPUs want examples first in these products, CPUs want them last unless they
are few.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from dsr_tf.core.sequence import each
from dsr_tf.core.sequence import scan

# So many examples are few: of 8 columns take twice the time, of 32 less.
FEW = 16
# Rows of inputs that a CPU gathers at once, 8 MB of 128 examples. To gather
# for all blocks at once saves no time, and takes much memory.
ROWS_AT_ONCE = 16384
# Blocks of inputs up to which GPUs add parts by a product of zeros and ones.
# Additions to the same place wait for each other, and not always in the same
# order, while this product costs more the more blocks there are.
FEW_INPUTS = 1024

_Gradients = Callable[[Any], tuple[Any, Any]]


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
        by_rows: Whether examples come first in the products however many
            there are.

    Returns:
        Tensor `(batch, output_blocks * w)`.
    """
    way = _by_rows if by_rows else _by_columns

    @ops.custom_gradient
    def multiplied(inputs: Any, kernel: Any) -> tuple[Any, Callable[..., Any]]:
        outputs, gradients = way(inputs, kernel, index)

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            if upstream is None:
                (upstream,) = arguments
            d_inputs, d_kernel = gradients(upstream)
            return d_inputs, _only_active(d_kernel, active)

        return outputs, gradient

    return multiplied(inputs, kernel)


def product(inputs: Any, kernel: Any, index: Any) -> Any:
    """The same without gradients, as suits CPUs."""
    return _by_columns(inputs, kernel, index)[0]


def _only_active(d_kernel: Any, active: Any) -> Any:
    """The gradient of a kernel, 0 in slots that are not in use."""
    blocks = ops.reshape(d_kernel, (*active.shape, -1))
    used = ops.expand_dims(ops.cast(active, d_kernel.dtype), -1)
    return ops.reshape(blocks * used, d_kernel.shape)


def _by_columns(inputs: Any, kernel: Any, index: Any) -> tuple[Any, _Gradients]:
    num_blocks, length, width = kernel.shape
    height = length // index.shape[1]
    num_inputs = inputs.shape[-1]
    at_once = _blocks_at_once(num_blocks, length)
    kernels = ops.reshape(kernel, (-1, at_once, length, width))
    reads = ops.reshape(index, (num_blocks // at_once, -1))

    def columns() -> Any:
        shape = (num_inputs // height, height, -1)
        return ops.reshape(ops.transpose(inputs), shape)

    def gathered(columns: Any, read: Any) -> Any:
        taken = ops.take(columns, read, axis=0)
        return ops.reshape(taken, (at_once, length, -1))

    def outputs() -> Any:
        own = columns()

        def part(kernel: Any, read: Any) -> tuple[Any]:
            return (ops.einsum("nko,nkb->nob", kernel, gathered(own, read)),)

        (outputs,) = each(part, (kernels, reads), [own.dtype])
        return ops.transpose(ops.reshape(outputs, (num_blocks * width, -1)))

    def gradients(upstream: Any) -> tuple[Any, Any]:
        # Gathers again what outputs did not keep: memory.
        own = columns()

        def part(
            d_columns: Any, kernel: Any, read: Any, upstream: Any
        ) -> tuple[Any, Any]:
            d_kernel = ops.einsum("nkb,nob->nko", gathered(own, read), upstream)
            d_gathered = ops.einsum("nko,nob->nkb", kernel, upstream)
            d_gathered = ops.reshape(d_gathered, (read.shape[0], height, -1))
            d_columns += _segment_sums(d_gathered, read, num_inputs // height)
            return d_columns, d_kernel

        upstream = ops.reshape(
            ops.transpose(upstream),
            (num_blocks // at_once, at_once, width, -1),
        )
        start = ops.zeros_like(own, dtype=_sum_dtype(own))
        d_columns, d_kernel = scan(part, start, (kernels, reads, upstream))
        d_columns = ops.cast(d_columns, own.dtype)
        d_inputs = ops.transpose(ops.reshape(d_columns, (num_inputs, -1)))
        return d_inputs, ops.reshape(d_kernel, kernel.shape)

    def outputs_of_few() -> Any:
        return _by_rows(inputs, kernel, index)[0]

    return _where_few(inputs, outputs_of_few, outputs), gradients


def _blocks_at_once(num_blocks: int, length: int) -> int:
    """How many blocks of outputs read at most `ROWS_AT_ONCE`, or one; a
    divisor of their number."""
    return max(
        (
            at_once
            for at_once in range(1, num_blocks + 1)
            if num_blocks % at_once == 0 and at_once * length <= ROWS_AT_ONCE
        ),
        default=1,
    )


def _where_few(
    inputs: Any, few: Callable[[], Any], many: Callable[[], Any]
) -> Any:
    """What suits the number of examples, which may not be known yet."""
    batch = ops.shape(inputs)[0]
    if isinstance(batch, int):
        return few() if batch <= FEW else many()
    if keras.backend.backend() == "tensorflow":
        return ops.cond(batch <= FEW, few, many)
    # JAX, in an export for batches of any size: it cannot ask.
    return many()


def _by_rows(inputs: Any, kernel: Any, index: Any) -> tuple[Any, _Gradients]:
    num_blocks, length, width = kernel.shape
    num_slots = index.shape[1]
    height = length // num_slots
    num_inputs = inputs.shape[-1]
    flat = ops.reshape(index, (-1,))

    def gathered() -> Any:
        rows = ops.reshape(inputs, (-1, num_inputs // height, height))
        rows = ops.take(rows, flat, axis=1)
        return ops.reshape(rows, (-1, num_blocks, length))

    def gradients(upstream: Any) -> tuple[Any, Any]:
        upstream = ops.reshape(upstream, (-1, num_blocks, width))
        d_kernel = ops.einsum("bnk,bno->nko", gathered(), upstream)
        parts = ops.einsum("bno,nko->bnk", upstream, kernel)
        parts = ops.reshape(parts, (-1, num_blocks * num_slots, height))
        d_inputs = _summed(parts, flat, num_inputs // height)
        return ops.reshape(d_inputs, (-1, num_inputs)), d_kernel

    outputs = ops.einsum("bnk,nko->bno", gathered(), kernel)
    return ops.reshape(outputs, (-1, num_blocks * width)), gradients


def _summed(parts: Any, reads: Any, num_inputs: int) -> Any:
    """For each block of inputs, the sum of the parts of those that read it.

    Args:
        parts: Tensor `(batch, slots, h)`.
        reads: int32 tensor `(slots,)`, the block of inputs that each reads.
        num_inputs: Number of blocks of inputs.

    Returns:
        Tensor `(batch, num_inputs, h)`.
    """
    if num_inputs <= FEW_INPUTS:
        hot = ops.one_hot(reads, num_inputs, dtype=parts.dtype)
        return ops.einsum("bsh,si->bih", parts, hot)
    sums = _segment_sums(ops.transpose(parts, (1, 2, 0)), reads, num_inputs)
    return ops.transpose(ops.cast(sums, parts.dtype), (2, 0, 1))


def _segment_sums(parts: Any, segments: Any, number: int) -> Any:
    """Sums of parts along the first axis, of type `_sum_dtype`."""
    parts = ops.cast(parts, _sum_dtype(parts))
    return ops.segment_sum(parts, segments, num_segments=number)


def _sum_dtype(parts: Any) -> str:
    """What parts are added up in: sums of hundreds are lost in half of the
    precision, where products add in float32 by themselves."""
    dtype = keras.backend.standardize_dtype(parts.dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype
