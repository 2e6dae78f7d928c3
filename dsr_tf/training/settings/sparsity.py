"""What becomes sparse, how much of it, and how it begins."""

import dataclasses
import re

from dsr_tf import recipes
from dsr_tf.command_line.flag_kinds import CountOrShare
from dsr_tf.command_line.flag_kinds import Named
from dsr_tf.command_line.flag_kinds import Number
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.core import distribution
from dsr_tf.core import granularity
from dsr_tf.layers import storages
from dsr_tf.recipes.bits import parse_bits
from dsr_tf.recipes.budget import parse_energy
from dsr_tf.recipes.budget import parse_share
from dsr_tf.recipes.ssl import parse_groups
from dsr_tf.recipes.sss import SCALES
from dsr_tf.structure.choice.penalties import GRANULARITIES
from dsr_tf.training.settings.flag import flag

INITIAL_WEIGHTS = ("new", "original")
# A penalty's training; then without the channels that it has made small.
PHASES = ("penalty", "narrow")
THINET_RULES = ("discard", "keep")
# Of parameters and multiply-adds.
_LARGEST_BUDGET = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class SparsitySettings:
    """What becomes sparse, how much of it, and how it begins."""

    method: str = flag(
        "dsr",
        "How weights are saved: not at all (dense), by fewer units (thin) or "
        "tied weights (hashed), by fixed (static) or moving masks, by pruning "
        "as training goes on (gradual, rnn_pruning, std_threshold), by few "
        "different weights of a pruned network (deep_compression), by growth "
        "of a seed and pruning (nest); those after it remove whole channels "
        "of a trained network.",
        recipes.names(),
    )
    sparsity: float = flag(
        0.9, "Share of inactive weights in masked kernels.", Number(0, 1)
    )
    distribution: str = flag(
        "uniform",
        "How the budget is shared at the start: uniform, er, erk, or "
        "REGEX:SPARSITY,... for some kernels by path.",
        Named(distribution.parse),
    )
    parameter_budget: int | float | None = flag(
        None,
        "thin, and methods that narrow: most parameters of the network, or "
        "their share of the dense one's; not given: as many as are active in "
        "the sparse network of that sparsity.",
        CountOrShare(_LARGEST_BUDGET),
    )
    mac_budget: int | float | None = flag(
        None,
        "Methods that narrow, in place of --parameter_budget: most "
        "multiply-adds for an image, or their share of the dense network's.",
        CountOrShare(_LARGEST_BUDGET),
    )
    keep_share: str | None = flag(
        None,
        "Methods that narrow, in place of a budget: share of the channels "
        "that stay, of each layer or of all together as the method has it; "
        "or REGEX:SHARE,... for some layers by path, where others stay whole.",
        Named(parse_share),
    )
    phase: str | None = flag(
        None,
        "Methods that narrow: train with the method's penalty, or narrow the "
        "network of --initial_checkpoint and train what is left; not given: "
        "narrow with --initial_checkpoint, else penalty.",
        PHASES,
    )
    penalty: float | None = flag(
        None,
        "Strength of the penalty of --phase=penalty; not given: the method's.",
        Number(above=True),
    )
    penalty_groups: str | None = flag(
        None,
        "ssl: groups of weights that the penalty makes vanish, some of "
        f"{','.join(GRANULARITIES)}; not given: channel,input.",
        Named(parse_groups),
    )
    scales: str = flag(
        "branches",
        "sss: what is scaled and may go: branches of a residual network, or "
        "channels.",
        SCALES,
    )
    num_examples: int = flag(
        5000,
        "nest, and methods that narrow by what channels do with images: at "
        "how many of the training images they look.",
        Whole(1),
    )
    num_places: int = flag(
        10,
        "thinet, lasso: at how many positions of a layer's output for each "
        "of these images.",
        Whole(1),
    )
    thinet_rule: str = flag(
        "discard",
        "thinet: how channels are chosen, as in the paper of 2017 (discard) "
        "or the later code (keep).",
        THINET_RULES,
    )
    energy: str | None = flag(
        None,
        "pfa, in place of a budget: share of the variance of a layer's "
        "responses that its units must have; or 'kl', for which nothing is "
        "chosen.",
        Named(parse_energy),
    )
    bits: str = flag(
        "6",
        "deep_compression: a kernel gets 2**BITS different weights, 1 to 8; "
        "or REGEX:BITS,... for some kernels by path, where others stay as "
        "they are.",
        Named(parse_bits),
    )
    granularity: str = flag(
        "element",
        "What one mask entry governs: element, kernel, shape, input, channel, "
        "head or block:HxW; or N:M, N of every M consecutive weights, such as "
        "2:4.",
        Named(granularity.get),
    )
    storage: str = flag(
        storages.MASKED,
        "How kernels with masks are stored, where layers can: whole, or active "
        "weights only, which are computed with alone; auto for what is "
        "fastest. See docs/storage.md.",
        storages.names(),
    )
    slack: float | None = flag(
        None,
        "With --storage: for how many times the active weights there is room; "
        "not given: as the storage has it.",
        Number(1),
    )
    keep_dense: str = flag(
        "paper",
        "Layers that stay dense: 'paper', those of the network that do in "
        "the paper; 'none'; or a regular expression for their names.",
        Named(re.compile),
    )
    sparse_shortcuts: bool = flag(
        False, "Whether shortcuts become sparse too, with --keep_dense=paper."
    )
    initial_checkpoint: str | None = flag(
        None, "Run or .keras file whose trained weights to start from."
    )
    narrow: bool | None = flag(
        None,
        "Methods with masks: whether the model that is written has only the "
        "channels that the masks have left; --granularity=channel leaves "
        "few.",
        bool,
    )
    copy_masks_from: str | None = flag(
        None, "Run or .keras file whose masks to start from."
    )
    initial_weights: str = flag(
        "new",
        "With --copy_masks_from: newly drawn weights, or those that the run "
        "began with.",
        INITIAL_WEIGHTS,
    )
