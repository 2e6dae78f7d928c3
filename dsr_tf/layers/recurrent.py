"""Sparse versions of Keras' recurrent layers, and of their cells.

What is masked are the two kernels of the cell, each by a mask of its own. A
layer masks them once a call, not in every time step; fused implementations
take the masked kernels as they would take any.
"""

from typing import Any

import keras

from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.in_place import mask_layer
from dsr_tf.layers.kinds import holds_masked
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.masked_variable import holding

# Stands for the Keras layer among the bases, whose methods a mixin calls.
_KerasLayer: Any = object


@masks(keras.layers.LSTMCell, kernel=(-1,), recurrent_kernel=(-1,))
class SparseLSTMCell(Masked, keras.layers.LSTMCell):
    """`keras.layers.LSTMCell` whose two kernels are masked.

    Args: as `SparseLSTM`.
    """


@masks(keras.layers.GRUCell, kernel=(-1,), recurrent_kernel=(-1,))
class SparseGRUCell(Masked, keras.layers.GRUCell):
    """`keras.layers.GRUCell` whose two kernels are masked.

    Args: as `SparseGRU`.
    """


@masks(keras.layers.SimpleRNNCell, kernel=(-1,), recurrent_kernel=(-1,))
class SparseSimpleRNNCell(Masked, keras.layers.SimpleRNNCell):
    """`keras.layers.SimpleRNNCell` whose two kernels are masked.

    Args: as `SparseSimpleRNN`.
    """


class MasksOnce(_KerasLayer):
    """Mixin for layers that run a masked cell over time."""

    def inner_loop(self, *args: Any, **kwargs: Any) -> Any:
        if self.cell.compute_dtype != self.compute_dtype:
            # The cell reads its kernels in another precision.
            return super().inner_loop(*args, **kwargs)
        with holding(self.cell):
            return super().inner_loop(*args, **kwargs)


@holds_masked(keras.layers.RNN)
class SparseRNN(MasksOnce, keras.layers.RNN):
    """`keras.layers.RNN` of a cell that is masked, or has masked cells.

    Args:
        cell: Such a cell, as `SparseLSTMCell`.
        **kwargs: Any other argument of `keras.layers.RNN`.
    """


class SparseRecurrent(MasksOnce):
    """Mixin for recurrent layers that make their cell themselves.

    Args:
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            the keys `"kernel"` and `"recurrent_kernel"`.
        granularity: See `dsr_tf.core.granularity`.
        seed: Integer that masks are drawn from, and which units drop out;
            None draws a fresh one.
    """

    def __init__(
        self,
        *args: Any,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, seed=seed, **kwargs)
        mask_layer(self.cell, sparsity, granularity, seed)

    def get_config(self) -> dict[str, Any]:
        masked = self.cell.get_config()
        config = {
            **super().get_config(),
            **{n: masked[n] for n in ("sparsity", "granularity", "seed")},
        }
        # Keras takes these, and leaves them out.
        if hasattr(self.cell, "implementation"):
            config["implementation"] = self.cell.implementation
        # (`Bidirectional` sets it for any layer that goes backwards.)
        if isinstance(self, (keras.layers.LSTM, keras.layers.GRU)):
            config["use_cudnn"] = self.use_cudnn
        return config


@holds_masked(keras.layers.LSTM)
class SparseLSTM(SparseRecurrent, keras.layers.LSTM):
    """`keras.layers.LSTM` whose two kernels are masked.

    Args:
        units: Positive integer, dimensionality of the output.
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            the keys `"kernel"` and `"recurrent_kernel"`.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"` or `"block:HxW"`,
            see `dsr_tf.core.granularity`.
        seed: Integer that masks are drawn from, and which units drop out;
            None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.LSTM`.

    Input shape: `(batch, steps, features)`.
    Output shape: `(batch, units)`; `(batch, steps, units)` with
        `return_sequences`.

    Raises:
        ValueError: if an argument is out of range.
    """


@holds_masked(keras.layers.GRU)
class SparseGRU(SparseRecurrent, keras.layers.GRU):
    """`keras.layers.GRU` whose two kernels are masked.

    Args:
        units: Positive integer, dimensionality of the output.
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            the keys `"kernel"` and `"recurrent_kernel"`.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"` or `"block:HxW"`,
            see `dsr_tf.core.granularity`.
        seed: Integer that masks are drawn from, and which units drop out;
            None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.GRU`.

    Input shape: `(batch, steps, features)`.
    Output shape: `(batch, units)`; `(batch, steps, units)` with
        `return_sequences`.

    Raises:
        ValueError: if an argument is out of range.
    """


@holds_masked(keras.layers.SimpleRNN)
class SparseSimpleRNN(SparseRecurrent, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN` whose two kernels are masked.

    Args:
        units: Positive integer, dimensionality of the output.
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            the keys `"kernel"` and `"recurrent_kernel"`.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"` or `"block:HxW"`,
            see `dsr_tf.core.granularity`.
        seed: Integer that masks are drawn from, and which units drop out;
            None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.SimpleRNN`.

    Input shape: `(batch, steps, features)`.
    Output shape: `(batch, units)`; `(batch, steps, units)` with
        `return_sequences`.

    Raises:
        ValueError: if an argument is out of range.
    """
