"""All settings of a run: each field is a flag of `dsr_tf.train`."""

import dataclasses

from dsr_tf.training.settings.moves import MoveSettings
from dsr_tf.training.settings.network import NetworkSettings
from dsr_tf.training.settings.optimization import OptimizationSettings
from dsr_tf.training.settings.running import RunningSettings
from dsr_tf.training.settings.sparsity import SparsitySettings


@dataclasses.dataclass(frozen=True)
class Settings(
    RunningSettings,
    MoveSettings,
    OptimizationSettings,
    SparsitySettings,
    NetworkSettings,
):
    """A field for each flag; defaults are the paper's for MNIST (Table 4).

    Fields of the last base come first.
    """
