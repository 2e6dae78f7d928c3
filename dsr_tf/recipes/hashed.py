"""`--method=hashed`: HashedNet, in which many places share a weight."""

from typing import Any

import keras

from dsr_tf import conversion
from dsr_tf.recipes.network import filters
from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import register


class Hashed(Recipe):
    """Tied weights (Chen et al., ICML 2015), as many as would be active."""

    name = "hashed"

    def convert(self, experiment: Any, dense: keras.Model) -> keras.Model:
        return conversion.tie(
            dense,
            experiment.sparsity,
            filters(experiment, dense),
            experiment.seed,
        )


register(Hashed())
