"""How weights are trained."""

import dataclasses

from dsr_tf.command_line.flag_kinds import LARGEST_INTEGER
from dsr_tf.command_line.flag_kinds import Number
from dsr_tf.command_line.flag_kinds import Steps
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.core.schedule import Schedule
from dsr_tf.training.optimizer import OPTIMIZERS
from dsr_tf.training.settings.flag import flag


@dataclasses.dataclass(frozen=True)
class OptimizationSettings:
    """How weights are trained."""

    epochs: int = flag(100, "Passes over the training set.", Whole(1))
    batch_size: int = flag(100, "Images a step, over all replicas.", Whole(1))
    learning_rate: Schedule = flag(
        Schedule({0: 0.1, 25: 0.02, 50: 0.004, 75: 0.0008}),
        "Number, or a schedule EPOCH:RATE,...",
        Steps(),
    )
    cosine: bool = flag(
        False, "Whether the learning rate falls to 0 along half a cosine."
    )
    warmup_epochs: float = flag(
        0.0,
        "Epochs in which the learning rate grows from 0.",
        Number(0, LARGEST_INTEGER),
    )
    label_smoothing: float = flag(
        0.0, "Share of a label that goes to all classes.", Number(0, 1)
    )
    optimizer: str = flag(
        "sgd", "SGD with momentum, or AdamW, as Keras has them.", OPTIMIZERS
    )
    momentum: float = flag(0.9, "Momentum of SGD.", Number(0, 1))
    nesterov: bool = flag(True, "Whether the momentum of SGD is Nesterov's.")
    weight_decay: float = flag(
        0.0,
        "AdamW: share of all parameters, times the learning rate, that each "
        "step takes away.",
        Number(),
    )
    l1: float = flag(0.0, "Penalty l1 * sum(|w|) on kernels.", Number())
    l2: float = flag(
        0.0, "SGD: penalty l2/2 * sum(w**2) on all parameters.", Number()
    )
