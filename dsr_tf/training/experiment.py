"""What a run is: one dataclass, each field of it a flag of `dsr_tf.train`."""

import dataclasses
import re

from dsr_tf import distribution
from dsr_tf import granularity
from dsr_tf.command_line import Named
from dsr_tf.command_line import Number
from dsr_tf.command_line import Steps
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import Whole
from dsr_tf.command_line import define
from dsr_tf.draws import MAX_SEED
from dsr_tf.pruning import PruningHyperparameters
from dsr_tf.schedule import Schedule

# From all weights, over few but free to move, to fewer and fewer.
METHODS = (
    "dense",
    "thin",
    "hashed",
    "static",
    "set",
    "deep_r",
    "rigl",
    "snfs",
    "dsr",
    "gradual",
)
INITIAL_WEIGHTS = ("new", "original")
STRATEGIES = ("default", "mirrored")
PRECISIONS = ("float32", "bfloat16", "float16")

# A resumed run may differ from the one it continues in these only.
FREE_TO_CHANGE = (
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
    width: float = _flag(
        1.0,
        "Multiplies the units of every layer but the last.",
        Number(above=True),
    )
    method: str = _flag(
        "dsr",
        "How weights are saved: not at all (dense), by fewer units (thin) or "
        "tied weights (hashed), by fixed (static) or moving masks, or by "
        "pruning as training goes on (gradual).",
        METHODS,
    )
    sparsity: float = _flag(
        0.9, "Share of inactive weights in masked kernels.", Number(0, 1)
    )
    distribution: str = _flag(
        "uniform",
        "How the budget is shared at the start: uniform, er, erk, or "
        "REGEX:SPARSITY,... for some kernels by path.",
        Named(distribution.parse),
    )
    parameter_budget: int = _flag(
        None,
        "thin: most parameters of the network; not given: as many as are "
        "active in the sparse network of that sparsity.",
        Whole(1),
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
    initial_checkpoint: str = _flag(
        None, "Run or .keras file whose trained weights to start from."
    )
    copy_masks_from: str = _flag(
        None, "Run or .keras file whose masks to start from."
    )
    initial_weights: str = _flag(
        "new",
        "With --copy_masks_from: newly drawn weights, or those that the run "
        "began with.",
        INITIAL_WEIGHTS,
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
        "K, weights that DSR moves in a reallocation. Without --fraction, "
        "SET moves the fraction K / active weights of each kernel.",
        Whole(1),
    )
    fraction: float = _flag(
        None,
        "SET, RigL, SNFS: share of each kernel's active weights to move (at "
        "the start); not given: K / active weights, 0.3, 0.5.",
        Number(0, 1, above=True),
    )
    fraction_end_epoch: int = _flag(
        None,
        "RigL, SNFS: epoch at which the fraction has fallen to 0; not given: "
        "after three quarters, at the end.",
        Whole(1),
    )
    temperature: Schedule = _flag(
        Schedule({0: 1e-5, 25: 1e-8, 50: 1e-12, 75: 1e-15}),
        "DeepR: T, strength of the noise, or a schedule EPOCH:T,...",
        Steps(),
    )
    pruning_hparams: str = _flag(
        "",
        "gradual: hyperparameters of tf.contrib.model_pruning, NAME=VALUE,"
        "...; the target_sparsity is --sparsity if they name none.",
        Named(PruningHyperparameters.parse),
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
        for name in ("initial_checkpoint", "copy_masks_from"):
            value = getattr(self, name)
            if value and "{" in value:
                raise UsageError(
                    f"flag --{name}={value}: names a run of dsr_tf.compare; "
                    "give the folder of a run"
                )
        if self.copy_masks_from and self.method in ("dense", "thin", "hashed"):
            raise UsageError(
                f"flag --copy_masks_from={self.copy_masks_from}: needs a "
                f"--method with masks, not {self.method}"
            )
        self._check_pruning()
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

    def _check_pruning(self):
        try:
            self.pruning()
        except ValueError as error:
            raise UsageError(
                f"flag --pruning_hparams={self.pruning_hparams}: {error}"
            ) from error

    def pruning(self):
        """The `PruningHyperparameters`, `schedule_scale` worked in."""
        hyperparameters = PruningHyperparameters.parse(
            self.pruning_hparams, target_sparsity=self.sparsity
        )
        return hyperparameters.scaled(self.schedule_scale)

    def scaled(self):
        """The experiment with `schedule_scale` worked into it."""
        scale = self.schedule_scale
        stop, end = self.stop_epoch, self.fraction_end_epoch
        return dataclasses.replace(
            self,
            schedule_scale=1.0,
            pruning_hparams=str(self.pruning()),
            fraction_end_epoch=None if end is None else round(end * scale),
            temperature=self.temperature.scaled(scale),
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
        found = differing(self.to_dict(), other)
        if found:
            name, value, started_with = found
            raise UsageError(
                f"flag --{name}={value}: the run in --output_dir="
                f"{self.output_dir} was started with --{name}="
                f"{started_with}, which --resume must repeat"
            )


def differing(settings, other, free=FREE_TO_CHANGE):
    """The first setting of a run that differs from that of another.

    Args:
        settings: A dict as `Experiment.to_dict` returns.
        other: Another one, perhaps of an earlier version with fewer flags.
        free: Names of settings that may differ.

    Returns:
        Name and both values, or None.
    """
    for name, value in settings.items():
        if name not in free and value != other.get(name):
            return name, value, other.get(name)
    return None


def names():
    """The names of all flags of a run."""
    return [field.name for field in dataclasses.fields(Experiment)]


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
