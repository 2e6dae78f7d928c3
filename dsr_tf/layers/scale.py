"""A factor for all that comes in, for groups of channels, or for each."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from dsr_tf.core.checks import is_integer


@keras.saving.register_keras_serializable("dsr_tf")
class Scale(keras.layers.Layer):
    """Multiplies what comes in by factors that are trained, from 1 on.

    Huang & Wang (ECCV 2018, arXiv 1707.01213) put one behind each structure
    that may go: a branch of a residual network, a group of a convolution, or
    a channel. See `dsr_tf.structure.insert_scales`.

    Args:
        num_scales: 1, one factor for everything; a number of groups, of as
            many consecutive channels each; or None, a factor for each
            channel.
        axis: The axis of the channels.
        **kwargs: Any other argument of `keras.layers.Layer`.

    Attributes:
        scale: Variable `(num_scales,)`.

    Call arguments: a tensor. Returns one of the same shape.

    Raises:
        ValueError: if an argument is out of range or, when it is built,
            `num_scales` does not divide the number of channels.
    """

    def __init__(
        self, num_scales: int | None = 1, axis: int = -1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_scales is not None and (
            not is_integer(num_scales) or num_scales < 1
        ):
            raise ValueError(
                "`num_scales` must be a positive integer, or None for one a "
                f"channel. Received: num_scales={num_scales!r}"
            )
        if not is_integer(axis):
            raise ValueError(
                f"`axis` must be an integer. Received: axis={axis!r}"
            )
        self.num_scales = num_scales if num_scales is None else int(num_scales)
        self.axis = int(axis)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        number = 1
        if self.num_scales != 1:
            if not -len(input_shape) <= self.axis < len(input_shape):
                raise ValueError(
                    f"`axis` must be one of the inputs {tuple(input_shape)}. "
                    f"Received: axis={self.axis}"
                )
            length = input_shape[self.axis]
            number = self.num_scales or length or 0
            if not length or length % number:
                raise ValueError(
                    "`num_scales` must divide the number of channels. "
                    f"Received: num_scales={self.num_scales}, inputs "
                    f"{tuple(input_shape)}, axis={self.axis}"
                )
        self.scale = self.add_weight(
            shape=(number,), initializer="ones", name="scale"
        )

    def call(self, inputs: Any) -> Any:
        scale = ops.convert_to_tensor(self.scale)
        if self.num_scales != 1:
            length = inputs.shape[self.axis]
            shape = [1] * len(inputs.shape)
            shape[self.axis] = length
            scale = ops.repeat(scale, length // scale.shape[0])
            scale = ops.reshape(scale, shape)
        return inputs * scale

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_scales": self.num_scales,
            "axis": self.axis,
        }
