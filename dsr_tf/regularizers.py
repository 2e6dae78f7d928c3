"""Penalties on groups of weights, and sums of penalties."""

import math
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Self

import keras
from keras import ops

from dsr_tf.core import granularity as granularities
from dsr_tf.core.checks import is_integer
from dsr_tf.core.checks import is_number
from dsr_tf.core.granularity import Granularity
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.kernel_axes import KernelAxes


class Penalty(keras.regularizers.Regularizer):
    """A regularizer that can be added to others and may ask for a layer's axes.

    `GroupLasso(0.1, "channel") + keras.regularizers.L2(1e-4)` is a `Sum`.
    """

    def __add__(self, other: Any) -> "Sum":
        return Sum([self, other])

    def __radd__(self, other: Any) -> "Sum":
        return Sum([other, self])

    def fitted(self, shape: Sequence[int], axes: KernelAxes | None) -> Self:
        """The same penalty on a weight of a layer.

        Args:
            shape: Shape of the weight.
            axes: What its axes stand for; None if that is not known.

        Raises:
            ValueError: if it does not fit such a weight.
        """
        return self


@keras.saving.register_keras_serializable("dsr_tf")
class GroupLasso(Penalty):
    """`strength` times the sum over all groups of the norm of a group.

    The norm is the root of the sum of squares, without a factor for the size
    of the group, as in Wen et al. (2016). Its gradient is
    `strength * w / norm`, and 0 in a group of zeros, as in the authors'
    code (`GroupLassoRegularize`): it pulls every group to 0 by the same
    force, so that groups vanish as a whole.

    Args:
        strength: Number of at least 0.
        granularity: What a group is: `"channel"`, `"input"`, `"shape"`,
            `"layer"` or another of `dsr_tf.core.granularity` but N:M.
        axes: The axes of the weight along which groups differ, where they
            are not those of a Dense or convolution kernel, whose last two
            axes are inputs and outputs; `(-2,)` for the channels of a
            transposed convolution. `dsr_tf.regularize` gives the axes of the
            layer that it finds.

    Call arguments: a weight, variable or tensor. Returns a scalar, float32
        or that of a float64 weight.

    Raises:
        ValueError: if an argument is out of range; when it is called, if
            groups do not fit the weight.

    Example:

    >>> kernel = np.array([[3.0, 0.0], [4.0, 0.0]])
    >>> float(dsr_tf.regularizers.GroupLasso(0.1, "channel")(kernel))
    0.5
    """

    def __init__(
        self,
        strength: float,
        granularity: str | Granularity = "channel",
        axes: Iterable[int] | None = None,
    ) -> None:
        if not is_number(strength) or not 0 <= strength < math.inf:
            raise ValueError(
                "`strength` must be a number of at least 0. Received: "
                f"strength={strength!r}"
            )
        granularity = granularities.get(granularity)
        if granularity.pattern is not None:
            raise ValueError(
                "GroupLasso takes a granularity with groups of weights; those "
                f"of N:M are single ones. Received: granularity="
                f"{granularity.name!r}"
            )
        if axes is not None:
            axes = tuple(axes)
            if not granularity.goes_by_axes or not all(map(is_integer, axes)):
                raise ValueError(
                    "`axes` must be integers, for a granularity that is not "
                    f"block:HxW. Received: axes={axes}, "
                    f"granularity={granularity.name!r}"
                )
        self.strength, self.granularity = float(strength), granularity
        self.axes = axes

    def __call__(self, weights: Any) -> Any:
        weights = ops.convert_to_tensor(weights)
        if keras.backend.standardize_dtype(weights.dtype) != "float64":
            # Squares of half precision become 0 or infinite.
            weights = ops.cast(weights, "float32")
        squares = self.grouping(weights.shape).sums_of(ops.square(weights))
        # The root has no gradient at 0; what takes its place there has the
        # gradient 0, and must not be 0 itself.
        is_zero = ops.equal(squares, 0)
        norms = ops.sqrt(ops.where(is_zero, ops.ones_like(squares), squares))
        norms = ops.where(is_zero, ops.zeros_like(norms), norms)
        return self.strength * ops.sum(norms)

    def grouping(self, shape: Sequence[int]) -> Grouping:
        """The groups of a weight.

        Args:
            shape: Shape of the weight.

        Raises:
            ValueError: if they do not fit it.
        """
        shape = tuple(shape)
        if self.axes is None:
            return self.granularity.grouping(shape)
        num_axes = len(shape)
        if not all(-num_axes <= axis < num_axes for axis in self.axes):
            raise ValueError(
                f"`axes` must be among those of the weight. Received: "
                f"axes={self.axes}, weight of shape {shape}"
            )
        cut = {axis % num_axes for axis in self.axes}
        blocks = [1 if axis in cut else n for axis, n in enumerate(shape)]
        return Grouping(shape, tuple(blocks))

    def fitted(
        self, shape: Sequence[int], axes: KernelAxes | None
    ) -> "GroupLasso":
        fitted = self
        if self.axes is None and self.granularity.goes_by_axes:
            if axes is None and self.granularity.name not in (
                "element",
                "layer",
            ):
                raise ValueError(
                    "GroupLasso does not know what the axes of this weight "
                    "stand for, and takes those along which groups differ as "
                    f"`axes`. Received: granularity={self.granularity.name!r}, "
                    f"weight of shape {tuple(shape)}"
                )
            axes = axes or KernelAxes.of(len(shape))
            cut = sorted(self.granularity.cut_axes(axes))
            fitted = type(self)(self.strength, self.granularity, cut)
        fitted.grouping(shape)
        return fitted

    def get_config(self) -> dict[str, Any]:
        return {
            "strength": self.strength,
            "granularity": self.granularity.name,
            "axes": None if self.axes is None else list(self.axes),
        }


@keras.saving.register_keras_serializable("dsr_tf")
class Sum(Penalty):
    """Several regularizers, added up.

    Args:
        regularizers: List of what `keras.regularizers.get` takes; sums among
            them are taken apart.
    """

    def __init__(self, regularizers: Iterable[Any]) -> None:
        found: list[Any] = []
        for regularizer in map(keras.regularizers.get, regularizers):
            if isinstance(regularizer, Sum):
                found += regularizer.regularizers
            elif regularizer is not None:
                found.append(regularizer)
        self.regularizers: tuple[Any, ...] = tuple(found)

    def __call__(self, weights: Any) -> Any:
        penalties = [
            ops.cast(regularizer(weights), "float32")
            for regularizer in self.regularizers
        ]
        return sum(penalties)

    def fitted(self, shape: Sequence[int], axes: KernelAxes | None) -> "Sum":
        return Sum(fitted(r, shape, axes) for r in self.regularizers)

    def get_config(self) -> dict[str, Any]:
        return {
            "regularizers": [
                keras.regularizers.serialize(r) for r in self.regularizers
            ]
        }


def fitted(
    regularizer: Any, shape: Sequence[int], axes: KernelAxes | None
) -> Any:
    """A regularizer for a weight, see `Penalty.fitted`; Keras' as it is."""
    if isinstance(regularizer, Penalty):
        return regularizer.fitted(shape, axes)
    return regularizer
