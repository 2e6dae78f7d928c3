"""The optimizers of runs: what `--optimizer` and its flags make."""

import pytest
from absl import flags

from dsr_tf import command_line
from dsr_tf import optimizers
from dsr_tf.training import experiment as experiments
from dsr_tf.training import optimizer


def made(*arguments):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse_flags(flag_values, "t", ["--output_dir=x", *arguments])
    return optimizer.make(experiments.from_flags(flag_values), 0.25)


def test_sgd_is_what_is_not_named():
    sgd = made("--l2=0.5", "--momentum=0.75", "--nonesterov")
    assert type(sgd) is optimizers.SGD
    assert (sgd.l2, sgd.momentum, sgd.nesterov) == (0.5, 0.75, False)
    assert sgd.weight_decay is None


def test_adamw():
    adamw = made("--optimizer=adamw", "--weight_decay=0.125")
    assert type(adamw) is optimizers.AdamW
    assert float(adamw.learning_rate) == 0.25
    assert adamw.weight_decay == 0.125


def test_flags_at_their_defaults_are_not_given():
    """Flagfiles may name them."""
    made("--optimizer=adamw", "--momentum=0.9", "--nesterov", "--l2=0")
    made("--weight_decay=0")


@pytest.mark.parametrize("phase", ["narrow", "penalty"])
def test_only_a_penalty_needs_steps_that_sgd_takes(phase):
    more = ["--method=sss", f"--phase={phase}", "--optimizer=adamw"]
    if phase == "narrow":
        made(*more, "--initial_checkpoint=run")
        return
    with pytest.raises(command_line.UsageError, match="a step of --optimizer"):
        made(*more)
