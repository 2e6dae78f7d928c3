"""`--method=lasso`: channels by the LASSO, weights by least squares."""

from typing import Any

import keras

from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.recipes.narrowing import examples
from dsr_tf.recipes.registry import register
from dsr_tf.structure.methods.lasso import lasso


class Lasso(Narrowing):
    """Channel pruning by LASSO regression (He et al., 2017)."""

    name = "lasso"

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        return lasso(
            dense,
            examples(experiment, images),
            num_places=experiment.num_places,
            seed=experiment.seed,
            **amount,
        )


register(Lasso())
