"""The loss of a run with smoothed labels."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dsr_tf")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits and integer labels, smoothed.

    Szegedy et al. (2015), section 7. Keras smooths labels that are written
    as vectors only.

    Args:
        label_smoothing: Share of a label that goes to all classes alike,
            in [0, 1).
        **kwargs: Arguments of `keras.losses.Loss`.
    """

    def __init__(
        self,
        label_smoothing: float,
        name: str = "smoothed_crossentropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Losses `(batch,)` of labels `(batch,)`, logits `(batch, n)`."""
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        return keras.losses.categorical_crossentropy(
            ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype),
            y_pred,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
        }
