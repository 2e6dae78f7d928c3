"""`--method=thinet`: channels go that the next layer can do without."""

from typing import Any

import keras

from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.recipes.narrowing import examples
from dsr_tf.recipes.registry import register
from dsr_tf.structure.methods.thinet import thinet


class ThiNet(Narrowing):
    """ThiNet (Luo et al., 2017); training comes after the last layer only."""

    name = "thinet"

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        return thinet(
            dense,
            examples(experiment, images),
            rule=experiment.thinet_rule,
            num_places=experiment.num_places,
            seed=experiment.seed,
            **amount,
        )


register(ThiNet())
