"""Tables of a run that are damaged or gone when it is resumed."""

import os
import shutil
import signal

import pytest

from dsr_tf.commands import train
from dsr_tf.training import checkpoint
from tests.training.test_bad_days import arguments
from tests.training.test_bad_days import assert_same_run
from tests.training.test_bad_days import at_step
from tests.training.test_bad_days import ends
from tests.training.test_damage import TABLES
from tests.training.test_damage import old_checkpoint

# What may lie where the tables of a run were, seen in folders of killed runs.
TABLES_LEFT = {
    "empty": lambda text: "",
    "half a header": lambda text: text[:7],
    "a header only": lambda text: text.split("\n")[0] + "\n",
    "half a row": lambda text: text[:-9],
    "a row is gone": lambda text: "\n".join(
        text.split("\n")[:1] + text.split("\n")[2:]
    ),
    "other columns": lambda text: "a,b\n1,2\n",
    "no text": lambda text: "epoch,step\n\udcff\udcfe\0,1\n",
    "missing": None,
}


def damage_table(path, kind):
    text = path.read_text()
    path.unlink()
    if TABLES_LEFT[kind] is not None:
        damaged = TABLES_LEFT[kind](text)
        path.write_bytes(damaged.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    "kind",
    [
        kind
        if kind in ("empty", "half a row", "missing")
        else pytest.param(kind, marks=pytest.mark.slow)
        for kind in TABLES_LEFT
    ],
)
def test_tables_are_those_of_the_checkpoint(kind, whole, tmp_path):
    """A finished run, resumed, has every row again: cheap to try."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    for name in TABLES:
        damage_table(folder / name, kind)
    resumed(folder).train()
    for name in TABLES:
        assert (folder / name).read_text() == (whole / name).read_text()


def resumed(folder):
    """The run in a folder, resumed as a command does but silently."""
    from absl import flags

    from dsr_tf import command_line
    from dsr_tf.training import experiment as experiments
    from dsr_tf.training.run import Run

    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse_flags(
        flag_values, "train", arguments(folder, "--resume")[1:]
    )
    return Run(experiments.from_flags(flag_values))


def make_old(folder):
    """Make a run's folder one of before there were digests."""
    for path in (folder / "checkpoints").iterdir():
        old_checkpoint(path, checkpoint.read(path))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that was stopped after 23 of its 56 steps."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, 23, lambda: os.kill(os.getpid(), signal.SIGTERM))
        ends(143, folder)
    return folder


def test_an_old_folder_resumes_with_its_rows(whole, stopped, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    make_old(folder)
    with open(folder / "reallocations.csv", "a") as file:
        file.write("25,0.1")
    train.main(arguments(folder, "--resume"))
    # It did not know when its weights had grown.
    assert_same_run(whole, folder, has_ages=False)
    assert not (folder / "ages.csv").exists()
    metrics = (folder / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in metrics[1:]] == list("0123")


@pytest.mark.parametrize("kind", TABLES_LEFT)
def test_lost_rows_of_an_old_folder_are_told(kind, stopped, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    make_old(folder)
    path = folder / "metrics.csv"
    damage_table(path, kind)
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*")}
    ends(2, folder, "--resume")
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"train: flag --resume: {path} lacks rows")
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*")} == before
