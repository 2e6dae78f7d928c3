"""What a run is: one dataclass, each field of it a flag of `dsr_tf.train`."""

import dataclasses
import re

from dsr_tf import granularity
from dsr_tf.command_line import Named
from dsr_tf.command_line import Number
from dsr_tf.command_line import Steps
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import Whole
from dsr_tf.command_line import define
from dsr_tf.draws import MAX_SEED
from dsr_tf.schedule import Schedule

DISTRIBUTIONS = ("uniform", "er", "erk")
METHODS = ("dense", "static", "set", "dsr")
STRATEGIES = ("default", "mirrored")
PRECISIONS = ("float32", "bfloat16", "float16")

# A resumed run may differ from the one it continues in these only.
_FREE_TO_CHANGE = (
    "data_dir",
    "output_dir",
    "resume",
    "checkpoint_every_steps",
    "epochs",
    "strategy",
    "jit_compile",
    "steps_per_execution",
)


def _flag(default, help, kind=None):
    return dataclasses.field(
        default=default, metadata={"help": help, "kind": kind}
    )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All settings of a run; defaults are the paper's for MNIST (Table 4)."""

    output_dir: str = _flag(None, "Folder for everything that the run writes.")
    model: str = _flag("lenet_300_100", "Network.", ("lenet_300_100",))
    batch_normalization: bool = _flag(
        True, "Whether LeNet-300-100 normalizes batches, as the authors' does."
    )
    dataset: str = _flag(
        "digits",
        "'digits' (embedded), or a TensorFlow Datasets name such as 'mnist'.",
    )
    data_dir: str = _flag(None, "Folder of TensorFlow Datasets.")
    method: str = _flag("dsr", "How weights move.", METHODS)
    sparsity: float = _flag(
        0.9, "Share of inactive weights in masked kernels.", Number(0, 1)
    )
    distribution: str = _flag(
        "uniform", "How the budget is shared at the start.", DISTRIBUTIONS
    )
    granularity: str = _flag(
        "element",
        "What one mask entry governs: element, kernel, channel or block:HxW.",
        Named(granularity.get),
    )
    keep_dense: str = _flag(
        None,
        "Regular expression; layers with such a name stay dense.",
        Named(re.compile),
    )
    epochs: int = _flag(100, "Passes over the training set.", Whole(1))
    batch_size: int = _flag(100, "Images a step, over all replicas.", Whole(1))
    learning_rate: Schedule = _flag(
        Schedule({0: 0.1, 25: 0.02, 50: 0.004, 75: 0.0008}),
        "Number, or a schedule EPOCH:RATE,...",
        Steps(),
    )
    momentum: float = _flag(0.9, "Momentum of SGD.", Number(0, 1))
    nesterov: bool = _flag(True, "Whether the momentum is Nesterov's.")
    l1: float = _flag(0.0, "Penalty l1 * sum(|w|) on kernels.", Number())
    l2: float = _flag(
        0.0, "Weight decay, l2/2 * sum(w**2) on all weights.", Number()
    )
    num_reallocated: int = _flag(
        600,
        "K, weights to move in a reallocation. SET moves the fraction K / "
        "active weights of each kernel.",
        Whole(1),
    )
    tolerance: float = _flag(
        0.1, "delta, fraction of K that is near enough.", Number(0, 1)
    )
    initial_threshold: float = _flag(
        1e-3, "H0, the pruning threshold at the start.", Number(above=True)
    )
    period: Schedule = _flag(
        Schedule({0: 100, 25: 200, 50: 400, 75: 800}, integer=True),
        "P, steps between reallocations, or a schedule EPOCH:STEPS,...",
        Steps(integer=True),
    )
    stop_epoch: int = _flag(
        None, "First epoch without reallocation; none if not given.", Whole()
    )
    schedule_scale: float = _flag(
        1.0,
        "Multiplies the epochs and every epoch boundary.",
        Number(above=True),
    )
    seed: int = _flag(0, "Seed of everything that is drawn.", Whole())
    resume: bool = _flag(
        False, "Continue the run in --output_dir from its last checkpoint."
    )
    checkpoint_every_steps: int = _flag(
        0, "Steps between checkpoints; 0 for one at each epoch's end.", Whole()
    )
    strategy: str = _flag(
        "default",
        "tf.distribute strategy: one device, or all GPUs of a host.",
        STRATEGIES,
    )
    jit_compile: bool = _flag(
        None, "Whether XLA compiles the step; not given: unless mirrored.", bool
    )
    steps_per_execution: int = _flag(
        0, "Steps in one call of the device; 0 chooses.", Whole()
    )
    mixed_precision: str = _flag(
        "float32", "Precision of the arithmetic.", PRECISIONS
    )

    def __post_init__(self):
        if not self.output_dir:
            raise UsageError(
                "flag --output_dir is required: the folder that the run "
                "writes to"
            )
        if self.seed > MAX_SEED:
            raise UsageError(
                f"flag --seed={self.seed}: must be at most {MAX_SEED}"
            )
        if self.nesterov and not self.momentum:
            raise UsageError(
                "flag --nesterov=true needs a momentum above 0: give "
                "--nonesterov with --momentum=0"
            )
        if self.strategy == "mirrored":
            if self.jit_compile:
                raise UsageError(
                    "flag --jit_compile=true: Keras cannot compile a step "
                    "under --strategy=mirrored; give --nojit_compile"
                )
            if self.steps_per_execution > 1:
                raise UsageError(
                    f"flag --steps_per_execution={self.steps_per_execution}: "
                    "must be 1 under --strategy=mirrored, where Keras runs "
                    "one step at a time"
                )

    def scaled(self):
        """The experiment with `schedule_scale` worked into it."""
        scale = self.schedule_scale
        stop = self.stop_epoch
        return dataclasses.replace(
            self,
            schedule_scale=1.0,
            epochs=max(1, round(self.epochs * scale)),
            learning_rate=self.learning_rate.scaled(scale),
            period=self.period.scaled(scale),
            stop_epoch=None if stop is None else round(stop * scale),
        )

    def to_dict(self):
        """Plain values for JSON; schedules as they are written in flags."""
        return {
            name: repr(value) if isinstance(value, Schedule) else value
            for name, value in vars(self).items()
        }

    def check_continues(self, other):
        """Refuse to continue a run with other settings.

        Args:
            other: `to_dict` of the run that wrote the checkpoint.
        """
        for name, value in self.to_dict().items():
            if name not in _FREE_TO_CHANGE and value != other.get(name):
                raise UsageError(
                    f"flag --{name}={value}: the run in --output_dir="
                    f"{self.output_dir} was started with --{name}="
                    f"{other.get(name)}, which --resume must repeat"
                )


def define_flags(flag_values):
    """Define a flag for each field of `Experiment`."""
    for field in dataclasses.fields(Experiment):
        define(
            flag_values,
            field.name,
            field.default,
            field.metadata["help"],
            field.metadata["kind"],
        )


def from_flags(flag_values):
    """The `Experiment` that parsed flags describe."""
    return Experiment(
        **{
            field.name: flag_values[field.name].value
            for field in dataclasses.fields(Experiment)
        }
    )
