"""`--method=slimming`: a penalty on scales, then no channels of small ones."""

from typing import Any

import keras

from dsr_tf import conversion
from dsr_tf.command_line import UsageError
from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.recipes.registry import register
from dsr_tf.structure.methods.slimming import slimming

_SCALES = "gamma$"


class Slimming(Narrowing):
    """Network slimming (Liu et al., 2017).

    `--keep_share` is that of all channels together. The strength is that of
    the authors for VGG-19; for ResNet-164 and DenseNet-40 it is 1e-5.
    """

    name, strength = "slimming", 1e-4

    def penalize(
        self, experiment: Any, dense: keras.Model, strength: float
    ) -> keras.Model:
        try:
            return conversion.regularize(
                dense, {_SCALES: keras.regularizers.L1(strength)}
            )
        except ValueError as error:
            raise UsageError(
                f"flag --method={self.name}: needs a network whose channels "
                f"are scaled by normalization, not this {experiment.model}"
            ) from error

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        return slimming(dense, **amount)


register(Slimming())
