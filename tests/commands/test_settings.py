"""What a run notes of its settings is what it was given."""

import dataclasses
import json

import hypothesis
import pytest
from absl import flags
from hypothesis import strategies

from dsr_tf import command_line
from dsr_tf.command_line.flag_kinds import CountOrShare
from dsr_tf.command_line.flag_kinds import Number
from dsr_tf.command_line.flag_kinds import Steps
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.comparison.plan import plan
from dsr_tf.training import build
from dsr_tf.training import experiment as experiments
from dsr_tf.training.experiment import Experiment
from tests.conftest import make_model


def from_flags(*arguments):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse_flags(flag_values, "t", arguments)
    return experiments.from_flags(flag_values)


def _values(kind):
    """A strategy of texts that a flag of that kind takes."""
    if isinstance(kind, Whole):
        return strategies.integers(kind.minimum, 2**31 - 2).map(str)
    if isinstance(kind, CountOrShare):
        return _values(Whole(1)) | _values(Number(0, 1))
    if isinstance(kind, Number):
        least = max(kind.minimum, 1e-300)
        return strategies.floats(
            least, min(kind.limit, 1e37), exclude_max=True, exclude_min=True
        ).map(repr)
    numbers = strategies.floats(1e-300, 1e37).map(repr)
    if kind.integer:
        numbers = strategies.integers(1, 2**31 - 1).map(str)
    schedule = strategies.dictionaries(
        strategies.integers(1, 2**31 - 1), numbers, max_size=3
    )
    return strategies.tuples(numbers, schedule).map(
        lambda pair: ",".join(
            [f"0:{pair[0]}", *(f"{e}:{x}" for e, x in pair[1].items())]
        )
    )


NUMBERS = {
    field.name: field.metadata["kind"]
    for field in dataclasses.fields(Experiment)
    if isinstance(field.metadata["kind"], (Whole, CountOrShare, Number, Steps))
    # They must go with the others; `tests/commands/cases_train.py` tries them.
    and field.name not in ("schedule_scale", "depth", "slack", "weight_decay")
}


@hypothesis.given(
    texts=strategies.fixed_dictionaries(
        {}, optional={name: _values(kind) for name, kind in NUMBERS.items()}
    )
)
def test_every_setting_reads_back_as_the_same_value(texts):
    given = from_flags(
        "--output_dir=x", *(f"--{name}={text}" for name, text in texts.items())
    )
    noted = json.loads(json.dumps(given.to_dict()))
    again = from_flags(
        *(f"--{n}={value}" for n, value in noted.items() if value is not None)
    )
    assert again.to_dict() == given.to_dict()
    for name in NUMBERS:
        ours, theirs = getattr(again, name), getattr(given, name)
        assert getattr(ours, "values", ours) == getattr(
            theirs, "values", theirs
        )


def test_settings_of_before_agree_as_they_read():
    given = from_flags("--output_dir=x", "--period=1000000")
    noted = {**given.to_dict(), "period": "0:1e+06"}
    assert noted["period"] != given.to_dict()["period"]
    given.check_continues(noted)
    noted["period"] = "0:1e+05"
    with pytest.raises(command_line.UsageError, match="--period=0:1000000: "):
        given.check_continues(noted)


def test_an_automatic_period_is_noted_as_such():
    given = from_flags(
        "--output_dir=x", "--period=auto", "--schedule_scale=0.2"
    )
    assert given.to_dict()["period"] == "auto"
    given.check_continues(given.to_dict())
    with pytest.raises(command_line.UsageError, match="--period=auto: "):
        given.check_continues({**given.to_dict(), "period": "0:100"})
    with pytest.raises(command_line.UsageError, match="started with .*=auto"):
        from_flags(
            "--output_dir=x", "--period=100", "--schedule_scale=0.2"
        ).check_continues(given.to_dict())
    callback = build.checked_callback(
        dataclasses.replace(given.scaled(), num_reallocated=0.1),
        make_model(),
        14,
    )
    assert callback.period.values == {0: 2, 5: 4, 10: 8, 15: 16}
    # Every period and epoch ends with an execution.
    assert build.steps_per_execution(given.scaled(), 14) == 2
    assert build.steps_per_execution(given.scaled(), 500) == 100


def test_a_comparison_passes_all_digits_on(tmp_path):
    path = tmp_path / "dsr.flags"
    path.write_text("--method=dsr")
    common = from_flags("--output_dir=x", "--learning_rate=0.12345678")
    common = [f"--learning_rate={common.learning_rate}", "--period=1000000"]
    (run,) = plan([str(path)], [1], [0.1], "out", common)
    assert run.settings["learning_rate"] == "0:0.12345678"
    assert run.settings["period"] == "0:1000000"


@pytest.mark.parametrize("method", ["rigl", "snfs"])
def test_an_end_epoch_that_is_scaled_to_0_stays_0(method):
    scaled = from_flags(
        "--output_dir=x",
        f"--method={method}",
        "--fraction_end_epoch=1",
        "--schedule_scale=0.1",
    ).scaled()
    assert scaled.fraction_end_epoch == 0
    model = make_model(build.optimizers.SGD(0.1, momentum=0.9))
    callback = build.checked_callback(scaled, model, 14)
    assert callback.method.end_step == 1
