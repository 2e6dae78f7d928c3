"""What --help lists: the flags that apply, as they are written."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from dsr_tf.commands import benchmark
from dsr_tf.commands import compare
from dsr_tf.commands import evaluate
from dsr_tf.commands import export
from dsr_tf.commands import report
from dsr_tf.commands import train
from dsr_tf.training import experiment as experiments
from tests.commands.test_commands import refuse

COMMANDS = (train, compare, evaluate, report, benchmark, export)


@pytest.fixture
def help_of(capsys):
    """A function from a command to `{flag: default}`, "" for none."""

    def read(command):
        with pytest.raises(SystemExit) as end:
            command.main(["command", "--help"])
        assert end.value.code == 0
        printed = capsys.readouterr().out.split("\nFlags:\n")[1]
        found = {}
        for part in re.split(r"^  --(?=\w+=<)", printed, flags=re.M)[1:]:
            default = re.search(r" \(default (.*)\)$", part.strip())
            found[part.split("=")[0]] = default[1] if default else ""
        return found

    return read


@pytest.mark.parametrize(
    "name, called",
    [("dsr-train", "dsr-train"), ("dsr_tf.train", "python -m dsr_tf.train")],
)
def test_train_alone_says_how_to_begin(name, called, capsys):
    with pytest.raises(SystemExit) as end:
        train.main([name])
    assert end.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    first = lines[0].partition(": ")[2]
    assert first.startswith(f"{called} --")
    flag_values = train.flags.FlagValues()
    experiments.define_flags(flag_values)
    arguments = shlex.split(first.removeprefix(called))
    train.command_line.parse_flags(flag_values, name, arguments)
    assert experiments.from_flags(flag_values).dataset == "digits"
    assert os.path.isdir(lines[1].rpartition(" ")[2])


def test_train_lists_all_flags(help_of):
    assert list(help_of(train)) == experiments.names()


def test_compare_lists_no_flag_that_it_refuses(help_of, tmp_path, capsys):
    listed = help_of(compare)
    hidden = set(experiments.names()) - set(listed)
    assert hidden == {"seed", "sparsity", "resume"}
    for name in hidden:
        value = "" if name == "resume" else "=0"
        error = refuse(
            compare,
            ["--flagfiles=a", "--output_dir={tmp}/x", f"--{name}{value}"],
            tmp_path,
            capsys,
        )
        assert f"--{name}: is set for each run" in error
    assert listed["seeds"] == "1" and listed["densities"] == "0.1"


def test_benchmark_lists_no_flag_without_effect(help_of):
    listed = help_of(benchmark)
    assert set(experiments.names()) - set(listed) == {
        *("output_dir", "method", "parameter_budget", "pruning_hparams"),
        *("mac_budget", "keep_share", "phase", "penalty", "narrow"),
        *("num_examples", "num_places", "thinet_rule", "energy"),
        *("penalty_groups", "storage", "slack"),
        *("resume", "checkpoint_every_steps", "checkpoints_to_keep"),
        *("strategy", "live", "tensorboard"),
    }
    assert listed["networks"] == (
        "dense,dense_again,static,set,deep_r,rigl,snfs,dsr,adaptive"
    )


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.__name__)
def test_defaults_are_what_the_command_line_takes(
    command, help_of, monkeypatch, capsys
):
    """Given word for word, they leave a command as it is without."""
    defaults = {name: text for name, text in help_of(command).items() if text}
    values = []

    class Parsed(Exception):
        pass

    parse = command.command_line.parse

    def stop(flag_values, *arguments, **more):
        parse(flag_values, *arguments, **more)
        values.append(
            {name: repr(flag_values[name].value) for name in defaults}
        )
        raise Parsed

    monkeypatch.setattr(command.command_line, "parse", stop)
    # (A command without any argument says how to begin.)
    none = [f"--flagfile={os.devnull}"]
    for arguments in (none, [f"--{n}={text}" for n, text in defaults.items()]):
        with pytest.raises(Parsed):
            command.main(["command", *arguments])
    assert values[0] == values[1]
    assert not any("[" in text or "True" in text for text in defaults.values())


def test_help_for_somebody_who_has_seen_enough():
    """As `| head`, which closes its end of the pipe."""
    output, written = os.pipe()
    os.close(output)
    found = subprocess.run(
        [sys.executable, "-m", "dsr_tf.train", "--help"],
        stdout=written,
        stderr=subprocess.PIPE,
    )
    os.close(written)
    assert found.returncode == 0
    assert not found.stderr
