"""The callback that writes what TensorBoard shows of masks."""

import contextlib
import os
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from dsr_tf.callbacks import mask_image
from dsr_tf.callbacks import summaries
from dsr_tf.callbacks.keras_board import drawing_booleans
from dsr_tf.callbacks.log_board import LogBoard
from dsr_tf.core.checks import is_integer
from dsr_tf.layers import mask_density
from dsr_tf.layers import masked_weights
from dsr_tf.layers.emptied import num_dead_units
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.summary import SparsitySummary
from dsr_tf.structure.whole.summary import sparsity_summary


class SparsityBoard(LogBoard):
    """Writes densities, moves and masks for TensorBoard.

    When training begins, at the end of each epoch, and every `period`
    updates, for each masked kernel:

    * scalars `density/PATH`; `grown/PATH` and `pruned/PATH`, weights that
      are active now and were not when this was last written, and the other
      way round; `dead_units/PATH`, outputs without an active weight;
    * the histogram `active_weights/PATH`;
    * the image `mask/PATH`, white where weights are active: inputs along one
      side, outputs along the other, the longer of the two across; of a
      convolution a tile for each window. A pixel is an entry of the mask,
      or the mean of several where there are more than 512 along a side; the
      largest mean is white.

    Of the whole model, `mask_density`; `active_macs`, the multiply-adds for
    one example by active weights, where those of all layers are known, see
    `dsr_tf.cost`; at the end of an epoch those of Keras' `logs` that `logs`
    names, such as the threshold of DSR; and the image `input_mask/PATH` where
    the first kernel reads whole images: how many units read a pixel.

    All is counted from the masks, so that it works with every method, and in
    any order with other callbacks. The step in TensorBoard is the number of
    updates. Several workers write once, the chief. While it trains, Keras'
    own `TensorBoard(write_images=True)` draws masks as well, which without
    this callback stops with an error.

    Args:
        log_dir: Folder to write to; files are added to what is there.
        period: Updates between writings within an epoch; None for none.
        logs: Names of Keras' `logs` to write as scalars where they occur.
        model: The Keras model whose masks are written, where `fit` trains
            one that it is a part of, or in a loop of your own; None for the
            one that `fit` trains.
        optimizer: The optimizer that counts the updates; None for the
            model's own.

    Raises:
        ImportError: if TensorFlow, which writes the files, is not there.
        TypeError, ValueError: if an argument is none of these, or in
            training, if the model has no masked layers.

    Example:

    >>> board = dsr_tf.callbacks.SparsityBoard("logs/sparsity")
    >>> model.fit(x, y, callbacks=[reallocation, board])

    Without `fit`, `board.write(step)` writes, and `board.close()` ends.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike,
        period: int | None = None,
        logs: Collection[str] = ("threshold",),
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
    ) -> None:
        super().__init__(log_dir, logs, model, optimizer)
        if period is not None and (not is_integer(period) or period < 1):
            raise ValueError(
                "`period` must be None or an integer of at least 1. "
                f"Received: period={period!r}"
            )
        self.period = period
        # Active groups when something was last written, by path.
        self._places: dict[str, np.ndarray] = {}
        self._sparsity: SparsitySummary | None = None
        self._last_step, self._calls_to_skip = 0, 0
        self._written: int | None = None
        self._scope = contextlib.ExitStack()

    def write(self, step: int) -> None:
        """Write what holds now.

        Args:
            step: The step that TensorBoard shows it at.

        Raises:
            ValueError: if the model has no masked layers.
        """
        self._last_step = self._written = step
        if not self._is_chief():
            return
        masked = self._masked()
        now = {weight.path: weight.variable.places() for weight in masked}
        with self._writing(step):
            summaries.scalar("mask_density", mask_density(masked))
            self._write_macs(masked, now)
            for weight in masked:
                self._write_kernel(weight, now[weight.path])
            self._write_inputs(masked[0], now[masked[0].path])
        self._writer.flush()
        self._places = now

    # Keras' own.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._places, self._sparsity = {}, None
        self._calls_to_skip = 0
        # A subclassed model may be built by its first batch only.
        if self._trained().built:
            if self._step() != self._written:
                self.write(self._step())
            self._begin()
        self._scope.close()
        self._scope.enter_context(drawing_booleans())

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if not self._places:
            self._begin()
        if self.period is None:
            return
        if self._calls_to_skip > 0:
            self._calls_to_skip -= 1
            return
        # Reading the number of updates waits for the device.
        step = self._step()
        if step // self.period > self._last_step // self.period:
            self.write(step)
        to_go = self.period - step % self.period
        per_call = self.model.steps_per_execution or 1
        self._calls_to_skip = -(-to_go // per_call) - 1

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        super().on_epoch_end(epoch, logs)
        if self._step() != self._written:
            self.write(self._step())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_end(logs)
        self._scope.close()

    # The rest.

    def _begin(self) -> None:
        """Remember what to compare with."""
        self._places = {w.path: w.variable.places() for w in self._masked()}
        self._last_step = self._step()

    def _write_macs(
        self, masked: list[MaskedWeight], places: dict[str, np.ndarray]
    ) -> None:
        if self._sparsity is None:  # How often weights are used stays.
            self._sparsity = sparsity_summary(self._trained())
        found = self._sparsity.num_macs_with(
            {w.path: len(places[w.path]) * w.group_size for w in masked}
        )
        if found is not None:
            summaries.scalar("active_macs", found)

    def _write_kernel(self, weight: MaskedWeight, places: np.ndarray) -> None:
        path, before = weight.path, self._places.get(weight.path)
        summaries.scalar(
            f"density/{path}", len(places) * weight.group_size / weight.size
        )
        if before is not None:
            for name, here, there in (
                ("grown", places, before),
                ("pruned", before, places),
            ):
                moved = np.setdiff1d(here, there, assume_unique=True)
                summaries.scalar(
                    f"{name}/{path}", len(moved) * weight.group_size
                )
        summaries.scalar(f"dead_units/{path}", num_dead_units(weight, places))
        summaries.histogram(
            f"active_weights/{path}", weight.variable.groups().reshape(-1)
        )
        summaries.image(f"mask/{path}", mask_image.of_kernel(weight, places))

    def _write_inputs(self, weight: MaskedWeight, places: np.ndarray) -> None:
        shape = getattr(self._trained(), "input_shape", None)
        # A model of several inputs has a list of shapes.
        if not isinstance(shape, tuple) or isinstance(shape[0], tuple):
            return
        image = mask_image.of_inputs(weight, places, shape[1:])
        if image is not None:
            summaries.image(f"input_mask/{weight.path}", image)

    def _masked(self) -> list[MaskedWeight]:
        model = self._trained()
        if model is None:
            raise ValueError(
                "`SparsityBoard.write()` needs to know the model: give "
                "`model=` to the constructor."
            )
        masked = masked_weights(model)
        if not masked:
            raise ValueError(
                "`SparsityBoard` needs a model with masked layers, see "
                f"`dsr_tf.sparsify`. Received: model '{model.name}', which "
                "has none"
            )
        return masked
