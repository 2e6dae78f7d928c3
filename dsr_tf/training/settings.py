"""All settings of a run: each field is a flag of `dsr_tf.train`."""

import dataclasses
import re
from typing import Any

from dsr_tf import recipes
from dsr_tf.command_line.flag_kinds import LARGEST_INTEGER
from dsr_tf.command_line.flag_kinds import CountOrShare
from dsr_tf.command_line.flag_kinds import Named
from dsr_tf.command_line.flag_kinds import Number
from dsr_tf.command_line.flag_kinds import Period
from dsr_tf.command_line.flag_kinds import Steps
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.core import distribution
from dsr_tf.core import granularity
from dsr_tf.core.period import AnyPeriod
from dsr_tf.core.schedule import Schedule
from dsr_tf.data import AUGMENTATIONS
from dsr_tf.layers import storages
from dsr_tf.models import MODELS
from dsr_tf.pruning import named_values
from dsr_tf.recipes.bits import parse_bits
from dsr_tf.recipes.budget import parse_energy
from dsr_tf.recipes.budget import parse_share
from dsr_tf.recipes.ssl import parse_groups
from dsr_tf.recipes.sss import SCALES
from dsr_tf.structure.choice.penalties import GRANULARITIES
from dsr_tf.training.cluster import STRATEGIES

INITIAL_WEIGHTS = ("new", "original")
# A penalty's training; then without the channels that it has made small.
PHASES = ("penalty", "narrow")
THINET_RULES = ("discard", "keep")
PRECISIONS = ("float32", "bfloat16", "float16")
# Of parameters and multiply-adds.
_LARGEST_BUDGET = 2**63 - 1


def _flag(default: Any, help: str, kind: Any = None) -> Any:
    return dataclasses.field(
        default=default, metadata={"help": help, "kind": kind}
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    """A field for each flag; defaults are the paper's for MNIST (Table 4)."""

    # Never None in an `Experiment`, which refuses that.
    output_dir: str = _flag(None, "Folder for everything that the run writes.")
    model: str = _flag("lenet_300_100", "Network.", tuple(MODELS))
    depth: int | None = _flag(
        None,
        "Layers of resnet_cifar (56, or others of 6 n + 2) or vgg_cifar (16 "
        "or 19); not given: the first of these.",
        Whole(1),
    )
    batch_normalization: bool = _flag(
        True, "Whether lenet_300_100 and mlp normalize batches."
    )
    initial_gamma: float | None = _flag(
        None,
        "Where the scales of batch normalization start; not given: 1, or "
        "0.5 in vgg_cifar.",
        Number(above=True),
    )
    dataset: str = _flag(
        "digits",
        "'digits' (embedded), 'random' (noise), 'image_folder', or a "
        "TensorFlow Datasets name such as 'mnist'.",
    )
    data_dir: str | None = _flag(
        None, "Folder of TensorFlow Datasets, or the image folder."
    )
    image_size: int | None = _flag(
        None,
        "Height and width of images where they differ in size, or of noise.",
        Whole(1),
    )
    augmentation: str = _flag(
        "none",
        "Views of training images: as they are, shifted by up to 4 pixels "
        "and mirrored, or crops of any size.",
        AUGMENTATIONS,
    )
    width: float = _flag(
        1.0,
        "Multiplies the units or channels of layers (but of outputs and of "
        "the stem of WRN-28-2).",
        Number(above=True),
    )
    method: str = _flag(
        "dsr",
        "How weights are saved: not at all (dense), by fewer units (thin) or "
        "tied weights (hashed), by fixed (static) or moving masks, by pruning "
        "as training goes on (gradual, rnn_pruning, std_threshold), by few "
        "different weights of a pruned network (deep_compression), by growth "
        "of a seed and pruning (nest); those after it remove whole channels "
        "of a trained network.",
        recipes.names(),
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
    parameter_budget: int | float | None = _flag(
        None,
        "thin, and methods that narrow: most parameters of the network, or "
        "their share of the dense one's; not given: as many as are active in "
        "the sparse network of that sparsity.",
        CountOrShare(_LARGEST_BUDGET),
    )
    mac_budget: int | float | None = _flag(
        None,
        "Methods that narrow, in place of --parameter_budget: most "
        "multiply-adds for an image, or their share of the dense network's.",
        CountOrShare(_LARGEST_BUDGET),
    )
    keep_share: str | None = _flag(
        None,
        "Methods that narrow, in place of a budget: share of the channels "
        "that stay, of each layer or of all together as the method has it; "
        "or REGEX:SHARE,... for some layers by path, where others stay whole.",
        Named(parse_share),
    )
    phase: str | None = _flag(
        None,
        "Methods that narrow: train with the method's penalty, or narrow the "
        "network of --initial_checkpoint and train what is left; not given: "
        "narrow with --initial_checkpoint, else penalty.",
        PHASES,
    )
    penalty: float | None = _flag(
        None,
        "Strength of the penalty of --phase=penalty; not given: the method's.",
        Number(above=True),
    )
    penalty_groups: str | None = _flag(
        None,
        "ssl: groups of weights that the penalty makes vanish, some of "
        f"{','.join(GRANULARITIES)}; not given: channel,input.",
        Named(parse_groups),
    )
    scales: str = _flag(
        "branches",
        "sss: what is scaled and may go: branches of a residual network, or "
        "channels.",
        SCALES,
    )
    num_examples: int = _flag(
        5000,
        "nest, and methods that narrow by what channels do with images: at "
        "how many of the training images they look.",
        Whole(1),
    )
    num_places: int = _flag(
        10,
        "thinet, lasso: at how many positions of a layer's output for each "
        "of these images.",
        Whole(1),
    )
    thinet_rule: str = _flag(
        "discard",
        "thinet: how channels are chosen, as in the paper of 2017 (discard) "
        "or the later code (keep).",
        THINET_RULES,
    )
    energy: str | None = _flag(
        None,
        "pfa, in place of a budget: share of the variance of a layer's "
        "responses that its units must have; or 'kl', for which nothing is "
        "chosen.",
        Named(parse_energy),
    )
    bits: str = _flag(
        "6",
        "deep_compression: a kernel gets 2**BITS different weights, 1 to 8; "
        "or REGEX:BITS,... for some kernels by path, where others stay as "
        "they are.",
        Named(parse_bits),
    )
    granularity: str = _flag(
        "element",
        "What one mask entry governs: element, kernel, shape, input, channel "
        "or block:HxW; or N:M, N of every M consecutive weights, such as 2:4.",
        Named(granularity.get),
    )
    storage: str = _flag(
        storages.MASKED,
        "How kernels with masks are stored, where layers can: whole, or active "
        "weights only, which are computed with alone; auto for what is "
        "fastest. See docs/storage.md.",
        storages.names(),
    )
    slack: float | None = _flag(
        None,
        "With --storage: for how many times the active weights there is room; "
        "not given: as the storage has it.",
        Number(1),
    )
    keep_dense: str = _flag(
        "paper",
        "Layers that stay dense: 'paper', those of the network that do in "
        "the paper; 'none'; or a regular expression for their names.",
        Named(re.compile),
    )
    sparse_shortcuts: bool = _flag(
        False, "Whether shortcuts become sparse too, with --keep_dense=paper."
    )
    initial_checkpoint: str | None = _flag(
        None, "Run or .keras file whose trained weights to start from."
    )
    narrow: bool | None = _flag(
        None,
        "Methods with masks: whether the model that is written has only the "
        "channels that the masks have left; --granularity=channel leaves "
        "few.",
        bool,
    )
    copy_masks_from: str | None = _flag(
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
    cosine: bool = _flag(
        False,
        "Whether the learning rate falls to 0 along half a cosine.",
    )
    warmup_epochs: float = _flag(
        0.0,
        "Epochs in which the learning rate grows from 0.",
        Number(0, LARGEST_INTEGER),
    )
    label_smoothing: float = _flag(
        0.0, "Share of a label that goes to all classes.", Number(0, 1)
    )
    momentum: float = _flag(0.9, "Momentum of SGD.", Number(0, 1))
    nesterov: bool = _flag(True, "Whether the momentum is Nesterov's.")
    l1: float = _flag(0.0, "Penalty l1 * sum(|w|) on kernels.", Number())
    l2: float = _flag(
        0.0, "Penalty l2/2 * sum(w**2) on all parameters.", Number()
    )
    num_reallocated: int | float = _flag(
        600,
        "K, weights that DSR moves in a reallocation, or their share of the "
        "active ones, such as 0.1. Without --fraction, SET moves the fraction "
        "K / active weights of each kernel.",
        CountOrShare(),
    )
    fraction: float | None = _flag(
        None,
        "SET, RigL, SNFS: share of each kernel's active weights to move (at "
        "the start); not given: K / active weights, 0.3, 0.5.",
        Number(0, 1, above=True),
    )
    fraction_end_epoch: int | None = _flag(
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
        "Methods that prune weights, NAME=VALUE,...: of gradual the "
        "hyperparameters of tf.contrib.model_pruning, where target_sparsity "
        "is --sparsity if not named; of rnn_pruning q, start, ramp, end, "
        "frequency and ramp_factor; of std_threshold quality, frequency, "
        "start and end; of nest frequency, grow_steps, target and others; "
        "see docs/methods.md.",
        Named(named_values.split),
    )
    tolerance: float = _flag(
        0.1, "delta, fraction of K that is near enough.", Number(0, 1)
    )
    initial_threshold: float = _flag(
        1e-3, "H0, the pruning threshold at the start.", Number(above=True)
    )
    period: AnyPeriod = _flag(
        Schedule({0: 100, 25: 200, 50: 400, 75: 800}, integer=True),
        "P, steps between reallocations, or a schedule EPOCH:STEPS,...; "
        "'auto' for a fifth of an epoch, twice as many from epoch 25 on, and "
        "again from 50 and 75.",
        Period(),
    )
    stop_epoch: int | None = _flag(
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
    checkpoints_to_keep: int = _flag(
        2, "Number of checkpoints that stay, the newest.", Whole(1)
    )
    tensorboard: bool = _flag(
        False, "Whether to write OUTPUT_DIR/tensorboard, see docs/training.md."
    )
    live: bool = _flag(
        False,
        "Whether a terminal shows a table of all kernels while it trains.",
    )
    strategy: str = _flag(
        "default",
        "Devices to train on: one, all GPUs of this host, those of several "
        "hosts (see TF_CONFIG), or a TPU (untested).",
        STRATEGIES,
    )
    jit_compile: bool | None = _flag(
        None, "Whether XLA compiles the step; it does if not given.", bool
    )
    steps_per_execution: int = _flag(
        0, "Steps in one call of the device; 0 chooses.", Whole()
    )
    mixed_precision: str = _flag(
        "float32", "Precision of the arithmetic.", PRECISIONS
    )
