"""`--method=l1_filters`: without the filters of the smallest L1 norm."""

from typing import Any

import keras

from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.recipes.registry import register
from dsr_tf.structure.methods.l1_filters import l1_filters


class L1Filters(Narrowing):
    """Filters by the sum of their magnitudes (Li et al., 2016)."""

    name = "l1_filters"

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        return l1_filters(dense, **amount)


register(L1Filters())
