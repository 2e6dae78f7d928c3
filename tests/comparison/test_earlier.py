"""A run whose flagfile starts from others makes or finds these."""

import json
import os
import pathlib

import pytest

from dsr_tf.command_line import UsageError
from dsr_tf.commands import train
from dsr_tf.comparison.earlier import earlier_runs
from dsr_tf.comparison.plan import parse
from dsr_tf.comparison.plan import references

ROOT = pathlib.Path(__file__).parents[2]
FAST = ["--epochs=1", "--nojit_compile"]


@pytest.fixture
def flagfiles(tmp_path):
    """A folder of flagfiles, each of a method that starts from the first."""
    folder = tmp_path / "flags"
    folder.mkdir()
    for name, lines in {
        "dense": "--method=dense",
        "pruned": "--method=gradual\n--initial_checkpoint={dense}\n"
        "--pruning_hparams=pruning_frequency=7,sparsity_function_end_step=7",
        "penalty": "--method=ssl\n--phase=penalty\n"
        "--initial_checkpoint={dense}",
        "narrow": "--method=ssl\n--initial_checkpoint={penalty}",
        "ticket": "--method=static\n--copy_masks_from={mine}",
        "mine": "--method=set\n--fraction=0.1",
        "lost": "--method=gradual\n--initial_checkpoint={nothing}",
        "circle": "--method=gradual\n--initial_checkpoint={circle}",
    }.items():
        (folder / f"{name}.flags").write_text(lines)
    return folder


def planned(*arguments):
    runs = earlier_runs(arguments, parse(arguments))
    return {flag: [run.folder for run in some] for flag, some in runs.items()}


@pytest.mark.parametrize(
    "path",
    [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.glob("flags/*/*.flags"))
        if "={" in path.read_text()
    ],
)
def test_flagfiles_of_the_package(path):
    """Each run comes after those that it needs, and the last is named."""
    arguments = [f"--flagfile={ROOT / path}", "--output_dir=new/run"]
    expected = references(parse(arguments))
    found = earlier_runs(arguments, parse(arguments))
    assert {flag: runs[-1].name for flag, runs in found.items()} == expected
    for runs in found.values():
        for number, run in enumerate(runs):
            assert set(run.needs) <= {other.folder for other in runs[:number]}


def test_where_they_are_and_what_they_are_told(flagfiles):
    given = f"--flagfile={flagfiles}/narrow.flags"
    assert planned(given, "--output_dir=runs/narrow", "--seed=3") == {
        "initial_checkpoint": ["runs/dense-seed3", "runs/penalty-seed3"]
    }
    assert planned(given, "--output_dir=narrow") == {
        "initial_checkpoint": ["dense-seed0", "penalty-seed0"]
    }
    # As a comparison calls them, with the density of what starts there.
    ticket = f"--flagfile={flagfiles}/ticket.flags"
    arguments = [ticket, "--output_dir=a/b", "--sparsity=0.8", "--epochs=7"]
    (run,) = earlier_runs(arguments, parse(arguments))["copy_masks_from"]
    assert run.folder == "a/mine-0.2-seed0"
    assert run.settings["method"] == "set"
    assert run.settings["epochs"] == 7 and run.settings["sparsity"] == 0.8
    assert run.arguments[-1] == "--resume"


def test_other_flagfiles_hold_for_all(flagfiles):
    (flagfiles / "more.flags").write_text("--epochs=9")
    arguments = [f"--flagfile={flagfiles}/pruned.flags", "--output_dir=a/b"]
    arguments += ["--flagfile", f"{flagfiles}/more.flags", "--l2=0.5"]
    (dense,) = earlier_runs(arguments, parse(arguments))["initial_checkpoint"]
    assert dense.settings["epochs"] == 9 and dense.settings["l2"] == 0.5


@pytest.mark.parametrize(
    "name, message",
    [
        ("lost", "there is no nothing.flags beside "),
        ("circle", "its run starts from itself"),
    ],
)
def test_flagfiles_that_do_not_lead_anywhere(name, message, flagfiles):
    with pytest.raises(UsageError, match=message):
        planned(f"--flagfile={flagfiles}/{name}.flags", "--output_dir=a/b")


def test_a_run_that_is_given_needs_no_other(flagfiles):
    given = f"--flagfile={flagfiles}/narrow.flags"
    assert not planned(given, "--output_dir=a", "--initial_checkpoint=run")
    # Nor is it looked for beside a file that does not name it.
    dense = f"--flagfile={flagfiles}/dense.flags"
    assert not planned(dense, "--output_dir=a", "--initial_checkpoint={dense}")


def said(capsys):
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if line.startswith("--initial")]


def settings(folder):
    return json.loads((folder / "summary.json").read_text())["settings"]


def test_one_command_trains_both(flagfiles, tmp_path, capsys):
    runs = tmp_path / "runs"
    arguments = ["dsr-train", f"--flagfile={flagfiles}/pruned.flags", *FAST]
    # What is wrong is said before anything is trained.
    for wrong in (f"--output_dir={flagfiles}", "--sparsity=2"):
        with pytest.raises(SystemExit) as end:
            train.main([*arguments, f"--output_dir={runs}/x", wrong])
        assert end.value.code == 2
    assert not runs.exists() and "dense-seed0" not in os.listdir(tmp_path)

    train.main([*arguments, f"--output_dir={runs}/first"])
    dense = runs / "dense-seed0"
    (line,) = said(capsys)
    assert line.endswith(
        "dense-seed0: the run of dense, seed 0, trained first."
    )
    assert settings(dense)["method"] == "dense"
    assert settings(runs / "first")["initial_checkpoint"] == str(dense)

    # It is found, by the settings and not by its name.
    dense = dense.rename(runs / "mine")
    train.main([*arguments, f"--output_dir={runs}/second", "--sparsity=0.5"])
    assert said(capsys) == [
        f"--initial_checkpoint={dense}: the run of dense, seed 0, found."
    ]
    assert sorted(os.listdir(runs)) == ["first", "mine", "second"]
    # One that goes on needs no other.
    dense.rename(tmp_path / "away")
    (runs / "second" / "summary.json").unlink()
    again = [f"--output_dir={runs}/second", "--sparsity=0.5", "--resume"]
    train.main([*arguments, *again])
    assert not said(capsys)
    assert settings(runs / "second")["initial_checkpoint"] == str(dense)
    assert sorted(os.listdir(runs)) == ["first", "second"]
