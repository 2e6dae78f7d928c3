"""The optimizers of runs: what `--optimizer` and its flags make."""

import keras
import pytest
from absl import flags

from dsr_tf import command_line
from dsr_tf import optimizers
from dsr_tf.core import memory
from dsr_tf.core import optimizer_slots
from dsr_tf.training import experiment as experiments
from dsr_tf.training import networks
from dsr_tf.training import optimizer


def given(*arguments):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse_flags(flag_values, "t", ["--output_dir=x", *arguments])
    return experiments.from_flags(flag_values)


def made(*arguments):
    return optimizer.make(given(*arguments), 0.25)


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


@pytest.mark.parametrize("name", optimizer.OPTIMIZERS)
def test_memory_has_room_for_the_slots(name, monkeypatch):
    experiment = given(f"--optimizer={name}")
    weight = keras.Variable([0.0])
    built = optimizer.make(experiment, 0.25)
    built.build([weight])
    num_slots = len(optimizer_slots.slots(built, weight))
    assert num_slots == experiment.num_slots
    # A number, its gradient and a copy, of 51,020; slots beside them.
    needed = 51_020 * 4 * (3 + num_slots)
    monkeypatch.setattr(memory, "total", lambda: needed)
    networks.build_model(experiment, (8, 8, 1), 10)
    monkeypatch.setattr(memory, "total", lambda: needed - 1)
    with pytest.raises(command_line.UsageError, match="51,020 parameters"):
        networks.build_model(experiment, (8, 8, 1), 10)


@pytest.mark.parametrize("phase", ["narrow", "penalty"])
def test_only_a_penalty_needs_steps_that_sgd_takes(phase):
    more = ["--method=sss", f"--phase={phase}", "--optimizer=adamw"]
    if phase == "narrow":
        made(*more, "--initial_checkpoint=run")
        return
    with pytest.raises(command_line.UsageError, match="a step of --optimizer"):
        made(*more)
