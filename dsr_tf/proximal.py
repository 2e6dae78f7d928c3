"""Steps of an optimizer that make weights exactly 0."""

import math
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from dsr_tf.core.checks import is_number
from dsr_tf.core.granularity import Granularity
from dsr_tf.regularizers import GroupLasso


@keras.saving.register_keras_serializable("dsr_tf")
class SoftThreshold:
    """The proximal step of the penalty `strength * sum(|w|)`.

    Every weight moves towards 0 by the learning rate times `strength`, and
    no further than to 0: `sign(w) * max(|w| - rate * strength, 0)`.

    Args:
        strength: Number of at least 0.
        non_negative: Whether weights also stay at 0 or above, after the
            momentum has been added.

    Raises:
        ValueError: if `strength` is out of range.
    """

    def __init__(self, strength: float, non_negative: bool = False) -> None:
        if not is_number(strength) or not 0 <= strength < math.inf:
            raise ValueError(
                "`strength` must be a number of at least 0. Received: "
                f"strength={strength!r}"
            )
        self.strength = float(strength)
        self.non_negative = bool(non_negative)

    def __call__(self, weights: Any, rate: Any) -> Any:
        """What weights become in a step.

        Args:
            weights: A tensor.
            rate: The learning rate, a scalar of the same type.

        Returns:
            A tensor like `weights`.
        """
        size = ops.abs(weights) - rate * self.strength
        return ops.sign(weights) * ops.maximum(size, 0)

    def after(self, weights: Any) -> Any:
        """What weights become when the momentum has been added."""
        return ops.maximum(weights, 0) if self.non_negative else weights

    def check(self, shape: Sequence[int]) -> None:
        """Refuse a weight that it does not fit.

        Raises:
            ValueError: if it does not.
        """

    def get_config(self) -> dict[str, Any]:
        return {"strength": self.strength, "non_negative": self.non_negative}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SoftThreshold":
        return cls(**config)


@keras.saving.register_keras_serializable("dsr_tf")
class GroupSoftThreshold:
    """The proximal step of `dsr_tf.regularizers.GroupLasso`.

    The norm of every group falls by the learning rate times `strength`, and
    no further than to 0: `w * max(1 - rate * strength / norm, 0)`.

    Args:
        strength, granularity, axes: As of `GroupLasso`. `axes` must be given
            for weights in which inputs and outputs are not the last two
            axes: an optimizer does not know what layers they are of.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        strength: float,
        granularity: str | Granularity = "channel",
        axes: Iterable[int] | None = None,
    ) -> None:
        self.lasso = GroupLasso(strength, granularity, axes)

    def __call__(self, weights: Any, rate: Any) -> Any:
        """See `SoftThreshold`."""
        grouping = self.lasso.grouping(weights.shape)
        norms = ops.sqrt(grouping.sums_of(ops.square(weights)))
        lost = rate * self.lasso.strength
        left = ops.maximum(norms - lost, 0)
        # Of a group of zeros nothing is left, whatever divides.
        shares = left / ops.where(norms > 0, norms, ops.ones_like(norms))
        return weights * grouping.spread(shares)

    def after(self, weights: Any) -> Any:
        """See `SoftThreshold`."""
        return weights

    def check(self, shape: Sequence[int]) -> None:
        """See `SoftThreshold`."""
        self.lasso.grouping(shape)

    def get_config(self) -> dict[str, Any]:
        return self.lasso.get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GroupSoftThreshold":
        return cls(**config)


# What an optimizer takes as a proximal step.
Rule = SoftThreshold | GroupSoftThreshold
