"""The recipes that there are, by the value of `--method`."""

from typing import Any
from typing import TypeVar

from dsr_tf.recipes.recipe import Recipe

_RECIPES: dict[str, Recipe] = {}
# The order in --help: all weights, few weights, few that move, fewer and
# fewer, few different ones, and more before they are fewer. Methods that are
# not in this list come after it, by name.
_ORDER = (
    "dense",
    "thin",
    "hashed",
    "static",
    "set",
    "deep_r",
    "rigl",
    "snfs",
    "dsr",
    "adaptive",
    "gradual",
    "rnn_pruning",
    "std_threshold",
    "deep_compression",
    "nest",
)
AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def register(recipe: AnyRecipe) -> AnyRecipe:
    """Add a recipe; its file does so where it is imported.

    Raises:
        ValueError: if there is one of that name.
    """
    if recipe.name in _RECIPES:
        raise ValueError(
            f"A recipe must have a name of its own. Received: {recipe.name!r},"
            f" which is that of {_RECIPES[recipe.name]} too"
        )
    _RECIPES[recipe.name] = recipe
    return recipe


def get(name: str) -> Recipe:
    """The recipe of `--method=name`.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in _RECIPES:
        raise ValueError(
            f"`method` must be one of {', '.join(names())}. Received: "
            f"method={name!r}"
        )
    return _RECIPES[name]


def names() -> tuple[str, ...]:
    """All values of `--method`, always in the same order."""
    known = {name: place for place, name in enumerate(_ORDER)}
    return tuple(
        sorted(_RECIPES, key=lambda name: (known.get(name, len(known)), name))
    )


def unused_amounts(experiment: Any) -> list[str]:
    """What to say of flags for the size of a network that change nothing.

    They are no errors: in a comparison flags hold for every run.

    Args:
        experiment: An object with an attribute for each flag of a run.

    Returns:
        A sentence for each such flag that is given.
    """
    recipe, said = get(experiment.method), []
    for amount in dict.fromkeys(x for n in names() for x in get(n).amounts):
        given = getattr(experiment, amount)
        why = recipe.why_unused(experiment, amount)
        if given is not None and why:
            said.append(f"flag --{amount}={given}: {why}")
    return said
