"""`--method=sss`: factors become 0 as it trains, and what they scale goes."""

from typing import Any

import keras

from dsr_tf.command_line import naming_flags
from dsr_tf.proximal import Rule
from dsr_tf.proximal import SoftThreshold
from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.recipes.narrowing import Share
from dsr_tf.recipes.registry import register
from dsr_tf.structure.methods.sss import sss
from dsr_tf.structure.removal.scales import fold_scales
from dsr_tf.structure.removal.scales import insert_scales

# What may be scaled; groups are in none of the networks here.
SCALES = ("branches", "channels")
_EXPRESSION = "_scale/scale$"


class SSS(Narrowing):
    """Sparse structure selection (Huang & Wang, 2017).

    As in the paper, one run is all: with `--narrow`, the penalized network
    is written without what its scales have made 0, and no training follows.
    The second phase is for a budget, or to train what is left further;
    without a budget it removes what is 0. The strength is that of the
    authors' code for ResNet-50.
    """

    name, strength = "sss", 0.01

    def has_density(self, experiment: Any) -> bool:
        return False

    def penalize(
        self, experiment: Any, dense: keras.Model, strength: float
    ) -> keras.Model:
        return _scaled(experiment, dense)

    def proximal(self, experiment: Any) -> dict[str, Rule]:
        if self.prepares(experiment):
            return {}
        strength: Any = experiment.penalty or self.strength
        return {_EXPRESSION: SoftThreshold(strength, non_negative=True)}

    def source(self, experiment: Any, dense: keras.Model) -> keras.Model:
        if not self.prepares(experiment):
            return dense
        return _scaled(experiment, dense)

    def amount(
        self, experiment: Any, dense: keras.Model
    ) -> tuple[str, int | Share | None]:
        if not self.has_amount(experiment):
            return "parameter_budget", None
        # Shares are of the network without scales.
        return super().amount(experiment, fold_scales(dense))

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        return sss(dense, **amount)

    def can_narrow(self, experiment: Any) -> bool:
        return not self.prepares(experiment)

    def narrowed(self, experiment: Any, model: keras.Model) -> keras.Model:
        return sss(model)


def _scaled(experiment: Any, dense: keras.Model) -> keras.Model:
    with naming_flags({"scales": experiment.scales}, "scales"):
        return insert_scales(dense, experiment.scales)


register(SSS())
