"""`--method=brain_damage`: a penalty on shapes, then masks without some."""

from typing import Any

import keras

from dsr_tf import conversion
from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.recipes.network import filters
from dsr_tf.recipes.registry import register
from dsr_tf.structure.choice.penalties import group_penalties
from dsr_tf.structure.methods.brain_damage import brain_damage


class BrainDamage(Narrowing):
    """Group-wise brain damage (Lebedev & Lempitsky, 2016).

    Budgets are of active weights. Both phases are about kernels that
    `--keep_dense` does not keep dense. No code says what the strength was;
    it is that of SSL here.
    """

    name, strength = "brain_damage", 0.003

    def penalize(
        self, experiment: Any, dense: keras.Model, strength: float
    ) -> keras.Model:
        wanted = filters(experiment, dense)
        penalties = group_penalties(dense, strength, ["shape"], wanted)
        return conversion.regularize(dense, penalties)

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        wanted = filters(experiment, dense)
        return brain_damage(dense, filters=wanted, **amount)


register(BrainDamage())
