"""`--method=deep_compression`: few different weights in a pruned network."""

from typing import Any

import keras

from dsr_tf import conversion
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import naming_flags
from dsr_tf.recipes.bits import parse_bits
from dsr_tf.recipes.network import filters
from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import register


class DeepCompression(Recipe):
    """Shared weights (Han et al., 2016, section 3), and their training.

    The last of three runs: the dense network, the pruned one of any method
    with masks, whose zeros stay, and this. Only codebooks, biases and
    normalization are trained.
    """

    name = "deep_compression"

    def has_density(self, experiment: Any) -> bool:
        return False

    def check(self, experiment: Any) -> None:
        if not experiment.initial_checkpoint:
            raise UsageError(
                "flag --initial_checkpoint is required: the run whose pruned "
                f"network --method={self.name} is to cluster"
            )

    def convert(self, experiment: Any, dense: keras.Model) -> keras.Model:
        with naming_flags({"bits": experiment.bits}, "bits"):
            return conversion.cluster(
                dense,
                parse_bits(experiment.bits),
                filters(experiment, dense),
                seed=experiment.seed,
            )


register(DeepCompression())
