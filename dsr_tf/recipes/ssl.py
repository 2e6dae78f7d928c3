"""`--method=ssl`: a penalty on groups of weights, then no groups of zeros."""

from typing import Any

import keras

from dsr_tf import conversion
from dsr_tf.command_line import naming_flags
from dsr_tf.constraints import ZeroBelow
from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.recipes.network import filters
from dsr_tf.recipes.registry import register
from dsr_tf.structure.choice.penalties import GRANULARITIES
from dsr_tf.structure.choice.penalties import group_penalties
from dsr_tf.structure.methods.ssl import ssl

# What the authors set to 0, `ZEROUT_THRESHOLD`.
_THRESHOLD = 1e-4


class SSL(Narrowing):
    """Structured sparsity learning (Wen et al., 2016).

    The penalty is on kernels that `--keep_dense` does not keep dense; the
    strength is that of the authors for a small network on CIFAR-10. As in
    the paper, only zeros go with `--keep_share=1`.
    """

    name, strength = "ssl", 0.003

    def penalize(
        self, experiment: Any, dense: keras.Model, strength: float
    ) -> keras.Model:
        groups = parse_groups(experiment.penalty_groups or "channel,input")
        values = {"penalty_groups": ",".join(groups)}
        with naming_flags(values, "penalty_groups"):
            penalties = group_penalties(
                dense, strength, groups, filters(experiment, dense)
            )
        return conversion.regularize(
            dense, penalties, {".": ZeroBelow(_THRESHOLD)}
        )

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        return ssl(dense, **amount)


def parse_groups(text: str) -> list[str]:
    """Granularities of a penalty, as they are written in flags.

    Raises:
        ValueError: if they are none.
    """
    groups = text.split(",")
    if set(groups) - set(GRANULARITIES) or len(set(groups)) < len(groups):
        raise ValueError(
            f"must be a list of some of {', '.join(GRANULARITIES)}"
        )
    return groups


register(SSL())
