"""`--method=dense`: all weights, the network that others are compared with."""

from typing import Any

from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import register


class Dense(Recipe):
    """The network as it is."""

    name = "dense"
    is_reference = True

    def has_density(self, experiment: Any) -> bool:
        return False


register(Dense())
