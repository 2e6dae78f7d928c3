"""`--method=thin`: fewer weights by fewer units and channels."""

from typing import Any

from dsr_tf.command_line import UsageError
from dsr_tf.command_line import naming_flags
from dsr_tf.models.width import find_width
from dsr_tf.recipes.budget import count
from dsr_tf.recipes.budget import num_active
from dsr_tf.recipes.network import Network
from dsr_tf.recipes.network import check_memory
from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import register


class Thin(Recipe):
    """The paper's "thin dense": as wide as a budget of parameters allows.

    The budget is `--parameter_budget`, or as many parameters as are active
    in the sparse network of the same flags.
    """

    name, amounts = "thin", ("parameter_budget",)

    def width(self, experiment: Any, network: Network) -> float:
        width = experiment.width
        budget = count(
            experiment.parameter_budget, network.num_parameters(width)
        )
        if budget is None:
            budget = num_active(experiment, network.build(width))
        with naming_flags({"parameter_budget": budget}, "parameter_budget"):
            check_memory(
                budget, f"training {budget:,} parameters", experiment.num_slots
            )
        try:
            return find_width(network.num_parameters, budget)
        except ValueError as error:
            raise UsageError(
                f"flag --parameter_budget={budget}: too few for "
                f"{experiment.model} ({error})"
            ) from error


register(Thin())
