"""How often each weight of a model is multiplied, also where none can go."""

from typing import Any

import keras

from dsr_tf.layers import Hashed
from dsr_tf.structure.graph.trace import Trace
from dsr_tf.structure.rules import Rule
from dsr_tf.structure.rules import rule_of_kind


class CountingTrace(Trace):
    """A walk over a graph that is after numbers of multiplications.

    It finds as well the weights of layers that store active weights only,
    and of those whose channels share weights, which no channel can leave.
    """

    def _rule_of(self, operation: Any) -> Rule | None:
        return rule_of_kind(operation)

    def _find(
        self, layer: Any, name: str
    ) -> tuple[keras.Variable, tuple[int, ...]] | None:
        masked = getattr(layer, "masked_variables", {}).get(name)
        if masked is not None:
            return masked.kernel, masked.grouping.kernel_shape
        clustered = getattr(layer, "clustered_variables", {}).get(name)
        if clustered is not None:
            return clustered.codebook, tuple(clustered.codes.shape)
        if isinstance(layer, Hashed) and name == "kernel":
            return layer.bank, layer.kernel_shape
        return super()._find(layer, name)
