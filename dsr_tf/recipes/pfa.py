"""`--method=pfa`: units go whose responses others have as well."""

from typing import Any

import keras

from dsr_tf.recipes.budget import parse_energy
from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.recipes.narrowing import Share
from dsr_tf.recipes.narrowing import examples
from dsr_tf.recipes.registry import register
from dsr_tf.structure.methods.pfa import pfa


class PFA(Narrowing):
    """Principal filter analysis (Suau et al., 2018)."""

    name = "pfa"
    amounts = {**Narrowing.amounts, "energy": "energy"}

    def amount(
        self, experiment: Any, dense: keras.Model
    ) -> tuple[str, int | Share | None]:
        if experiment.energy is not None:
            return "energy", parse_energy(experiment.energy)
        return super().amount(experiment, dense)

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        return pfa(
            dense,
            examples(experiment, images),
            **amount,
        )


register(PFA())
