"""How weights move and go, for methods that read it."""

import dataclasses

from dsr_tf.command_line.flag_kinds import CountOrShare
from dsr_tf.command_line.flag_kinds import Named
from dsr_tf.command_line.flag_kinds import Number
from dsr_tf.command_line.flag_kinds import Period
from dsr_tf.command_line.flag_kinds import Steps
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.core.period import AnyPeriod
from dsr_tf.core.schedule import Schedule
from dsr_tf.methods import adaptive
from dsr_tf.methods import grow
from dsr_tf.pruning import named_values
from dsr_tf.training.settings.flag import flag


@dataclasses.dataclass(frozen=True)
class MoveSettings:
    """How weights move and go, for methods that read it."""

    num_reallocated: int | float = flag(
        600,
        "K, weights that DSR moves in a reallocation, or their share of the "
        "active ones, such as 0.1. Without --fraction, SET moves the fraction "
        "K / active weights of each kernel.",
        CountOrShare(),
    )
    fraction: float | None = flag(
        None,
        "SET, RigL, SNFS: share of each kernel's active weights to move (at "
        "the start), Adaptive: of the model's; not given: K / active weights, "
        "0.3, 0.5, 0.3.",
        Number(0, 1, above=True),
    )
    fraction_end_epoch: int | None = flag(
        None,
        "RigL, SNFS, Adaptive: epoch at which the fraction is 0; not given: "
        "after three quarters, RigL and Adaptive, or at the end.",
        Whole(1),
    )
    temperature: Schedule = flag(
        Schedule({0: 1e-5, 25: 1e-8, 50: 1e-12, 75: 1e-15}),
        "DeepR: T, strength of the noise, or a schedule EPOCH:T,...",
        Steps(),
    )
    pruning_hparams: str = flag(
        "",
        "Methods that prune weights, NAME=VALUE,...: of gradual the "
        "hyperparameters of tf.contrib.model_pruning, where target_sparsity "
        "is --sparsity if not named; of rnn_pruning q, start, ramp, end, "
        "frequency and ramp_factor; of std_threshold quality, frequency, "
        "start and end; of nest frequency, grow_steps, target and others; "
        "see docs/methods.md.",
        Named(named_values.split),
    )
    tolerance: float = flag(
        0.1, "delta, fraction of K that is near enough.", Number(0, 1)
    )
    initial_threshold: float = flag(
        1e-3, "H0, the pruning threshold at the start.", Number(above=True)
    )
    scope: str | None = flag(
        None,
        "Adaptive: of what the smallest weights go.",
        adaptive.SCOPES,
    )
    redistribution: str | None = flag(
        None,
        "Adaptive: which kernels the growth goes to, in proportion.",
        adaptive.REDISTRIBUTIONS,
    )
    floor: float | None = flag(
        None,
        "Adaptive: part of what a start by ERK would give it that each kernel "
        "has at least; not given: 0.5.",
        Number(0, 1),
    )
    growth: str | None = flag(
        None,
        "DSR, Adaptive: which weights grow, see docs/methods.md; not given: "
        "at random, and at random where a gradient arrives.",
        tuple(grow.SCORES),
    )
    start_magnitude: float = flag(
        0.0, "DSR: grown weights start from this or minus this.", Number()
    )
    count_zeros: bool = flag(
        True, "DSR: whether weights of exactly 0 count towards K."
    )
    period: AnyPeriod = flag(
        Schedule({0: 100, 25: 200, 50: 400, 75: 800}, integer=True),
        "P, steps between reallocations, or a schedule EPOCH:STEPS,..., by "
        "default that of LeNet on MNIST; 'auto' for a fifth of an epoch, twice "
        "as many from epoch 25 on, and again from 50 and 75.",
        Period(),
    )
    stop_epoch: int | None = flag(
        None, "First epoch without reallocation; none if not given.", Whole()
    )
