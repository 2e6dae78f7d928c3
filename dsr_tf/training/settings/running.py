"""How a run is run."""

import dataclasses

from dsr_tf.command_line.flag_kinds import Number
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.training.cluster import STRATEGIES
from dsr_tf.training.settings.flag import flag

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class RunningSettings:
    """How a run is run."""

    schedule_scale: float = flag(
        1.0,
        "Multiplies the epochs and every epoch boundary.",
        Number(above=True),
    )
    seed: int = flag(0, "Seed of everything that is drawn.", Whole())
    resume: bool = flag(
        False, "Continue the run in --output_dir from its last checkpoint."
    )
    checkpoint_every_steps: int = flag(
        0, "Steps between checkpoints; 0 for one at each epoch's end.", Whole()
    )
    checkpoints_to_keep: int = flag(
        2, "Number of checkpoints that stay, the newest.", Whole(1)
    )
    tensorboard: bool = flag(
        False, "Whether to write OUTPUT_DIR/tensorboard, see docs/training.md."
    )
    live: bool = flag(
        False,
        "Whether a terminal shows a table of all kernels while it trains.",
    )
    strategy: str = flag(
        "default",
        "Devices to train on: one, all GPUs of this host, those of several "
        "hosts (see TF_CONFIG), or a TPU (untested).",
        STRATEGIES,
    )
    jit_compile: bool | None = flag(
        None, "Whether XLA compiles the step; it does if not given.", bool
    )
    steps_per_execution: int = flag(
        0, "Steps in one call of the device; 0 chooses.", Whole()
    )
    mixed_precision: str = flag(
        "float32", "Precision of the arithmetic.", PRECISIONS
    )
