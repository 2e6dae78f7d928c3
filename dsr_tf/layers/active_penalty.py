"""A penalty on the weights that are active, and on no others."""

from typing import TYPE_CHECKING
from typing import Any

import keras

if TYPE_CHECKING:
    from dsr_tf.layers.masked import Masked


class ActivePenalty(keras.regularizers.Regularizer):
    """The penalty on a kernel as the forward pass reads it.

    Most penalties leave zeros alone; not all do. The layer's configuration
    holds the penalty that it was given, and makes this one anew.

    Args:
        layer: The masked layer.
        name: The name that it has the kernel under.
        penalty: What `keras.regularizers.get` takes.
    """

    def __init__(self, layer: "Masked", name: str, penalty: Any) -> None:
        self._layer, self._name = layer, name
        self.penalty = keras.regularizers.get(penalty)

    def __call__(self, kernel: Any) -> Any:
        """The penalty, a scalar, of a kernel, a variable or tensor."""
        variable = self._layer.masked_variables[self._name]
        return self.penalty(variable.masked(kernel))
