"""A file for each `--method`: how its model is built and what trains it.

A new file here that registers a `Recipe` is a new method, and so is a new
file in `dsr_tf/methods` whose class has a `flag_name`.
"""

from dsr_tf.core import discovery
from dsr_tf.recipes.reallocation import Reallocating
from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import get
from dsr_tf.recipes.registry import names
from dsr_tf.recipes.registry import register
from dsr_tf.recipes.registry import unused_amounts

__all__ = [
    "Reallocating",
    "Recipe",
    "get",
    "names",
    "register",
    "unused_amounts",
]

discovery.import_modules(__name__, __path__)
