"""`--method=dense`: all weights, the network that others are compared with."""

from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import register


class Dense(Recipe):
    """The network as it is."""

    name = "dense"
    has_density = False
    is_reference = True


register(Dense())
