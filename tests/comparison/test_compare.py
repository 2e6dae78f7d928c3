"""`dsr_tf.compare` from end to end, on the embedded digits."""

import json
import os
import shutil

import pytest

from dsr_tf.command_line import UsageError
from dsr_tf.commands import compare
from dsr_tf.comparison.plan import plan
from tests.commands.test_commands import refuse

COMMON = ["--dataset=digits", "--epochs=2", "--period=7", "--nojit_compile"]
COMMON.append("--steps_per_execution=1")


@pytest.fixture
def flagfiles(tmp_path):
    folder = tmp_path / "flags"
    folder.mkdir()
    contents = {
        "dense": ["--method=dense"],
        "mine": ["--method=set", "--fraction=0.2"],
        "pruned": [
            "--method=gradual",
            "--initial_checkpoint={dense}",
            "--pruning_hparams=pruning_frequency=7,"
            "sparsity_function_end_step=14",
        ],
        "ticket": ["--method=static", "--copy_masks_from={mine}"],
    }
    for name, lines in contents.items():
        (folder / f"{name}.flags").write_text("\n".join(lines))
    return {name: str(folder / f"{name}.flags") for name in contents}


def test_plan(flagfiles, tmp_path):
    runs = plan(list(flagfiles.values()), [3, 4], [0.1, 0.02], "out", COMMON)
    assert [str(run) for run in runs[:4]] == [
        "dense, seed 3",
        "dense, seed 4",
        "mine, density 0.1, seed 3",
        "mine, density 0.1, seed 4",
    ]
    assert len(runs) == 2 + 3 * 4
    pruned = next(run for run in runs if run.name == "pruned")
    assert pruned.needs == [os.path.join("out", "dense-seed3")]
    last = runs[-1]
    assert last.needs == [os.path.join("out", "mine-0.02-seed4")]
    assert last.settings["sparsity"] == 0.98
    assert last.settings["copy_masks_from"] == last.needs[0]
    assert last.settings["epochs"] == 2


def test_a_needed_run_must_come_before(flagfiles):
    paths = [flagfiles["ticket"], flagfiles["mine"]]
    with pytest.raises(UsageError, match="mine.flags must come before it"):
        plan(paths, [1], [0.1], "out", COMMON)


def test_the_dense_network_may_have_any_name(tmp_path):
    for name, lines in {
        "full": "--method=dense",
        "dense": "--method=dsr",
        "pruned": "--method=gradual\n--initial_checkpoint={full}",
        "ticket": "--method=static\n--copy_masks_from={dense}",
    }.items():
        (tmp_path / f"{name}.flags").write_text(lines)
    names = ("full", "dense", "pruned", "ticket")
    paths = [str(tmp_path / f"{name}.flags") for name in names]
    full, dense, pruned, ticket = plan(paths, [3], [0.1], "out", COMMON)
    assert (full.density, dense.density) == (None, 0.1)
    assert pruned.needs == [os.path.join("out", "full-seed3")]
    assert ticket.needs == [os.path.join("out", "dense-0.1-seed3")]


def test_a_flag_that_does_not_fit_names_the_flagfile(flagfiles, tmp_path):
    filters = tmp_path / "filters.flags"
    filters.write_text(
        "--method=l1_filters\n--initial_checkpoint={dense}\n--keep_share=0.5"
    )
    paths = [flagfiles["dense"], str(filters)]
    with pytest.raises(UsageError) as refused:
        plan(paths, [1], [0.1], "out", [*COMMON, "--mac_budget=0.5"])
    message = str(refused.value)
    assert message.startswith("flag --keep_share=0.5: says how much stays")
    assert message.endswith(f"(in the run of {filters})")


def test_runs_and_does_not_run_again(flagfiles, tmp_path, capsys):
    folder = tmp_path / "out"

    def arguments(folder, *names):
        return [
            "compare",
            "--flagfiles=" + ",".join(flagfiles[name] for name in names),
            "--densities=0.1",
            "--parallel_runs=2",
            f"--output_dir={folder}",
            *COMMON,
        ]

    compare.main(arguments(folder, "dense", "mine"))
    output = capsys.readouterr().out
    assert "2 runs, 0 of them finished before" in output
    files = set(os.listdir(folder))
    assert {"comparison.csv", "comparison.md", "comparison.png"} <= files
    assert "comparison_macs.png" in files and "comparison_macs.png" in output

    def summary(name):
        return json.loads((folder / name / "summary.json").read_text())

    # What the run says in its own log, beside its line.
    assert "\n  flag --period=0:7: weights move 3 times" in output

    assert summary("dense-seed1")["method"] == "dense"
    times = {
        name: os.path.getmtime(folder / name / "summary.json")
        for name in files
        if name.endswith("seed1")
    }

    # The folder has moved, and one is missing: only that one runs.
    moved = tmp_path / "moved"
    folder = shutil.move(folder, moved)
    again = arguments(moved, "dense", "mine", "ticket")
    compare.main(again)
    assert "3 runs, 2 of them finished before" in capsys.readouterr().out
    assert sorted(times) == ["dense-seed1", "mine-0.1-seed1"]
    for name, time in times.items():
        assert os.path.getmtime(moved / name / "summary.json") == time
    # With the masks of the other run, where it left them.
    assert summary("ticket-0.1-seed1")["mask_density"] == 0.1

    # The same runs in the columns of another table.
    compare.main([*again, "--table=6"])
    assert "3 runs, 3 of them finished before" in capsys.readouterr().out
    table = (moved / "comparison.md").read_text().splitlines()
    cells = {line.split(" | ")[0]: line.split(" | ") for line in table}
    assert cells["| dense"][1:4] == ["yes", "–", "–"]
    assert cells["| mine"][1:4] == ["yes", "non-structured", "no"]
    # Fixed masks, but those of another run, which had moved them.
    assert cells["| ticket"][1:4] == ["yes", "non-structured", "no"]

    # Other settings are another comparison.
    for flag, message in (
        ("--l1=0.01", "--l1=0.0"),
        ("--epochs=3", "--epochs=2"),
    ):
        with pytest.raises(SystemExit) as error:
            compare.main([*again, flag])
        assert error.value.code == 2
        said = capsys.readouterr().err
        assert f"holds a run with {message}" in said
        assert f"give an --output_dir outside {moved}, or" in said


@pytest.mark.slow
def test_a_run_that_fails(flagfiles, tmp_path, capsys):
    """More weights to move than there are: found out by the run alone."""
    path = tmp_path / "flags" / "broken.flags"
    path.write_text("--method=dsr\n--num_reallocated=9999")
    with pytest.raises(SystemExit) as error:
        compare.main(
            [
                "compare",
                f"--flagfiles={path},{flagfiles['mine']}",
                f"--output_dir={tmp_path}/out",
                *COMMON,
            ]
        )
    assert error.value.code == 1
    captured = capsys.readouterr()
    assert "broken, density 0.1, seed 1 failed, see" in captured.err
    assert "mine, density 0.1, seed 1: " in captured.out
    log = tmp_path / "out" / "logs" / "broken-0.1-seed1.txt"
    assert "num_reallocated=9999" in log.read_text()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--flagfiles is required"),
        (["--flagfiles=a.flags"], "--output_dir is required"),
        (["--flagfiles=a.flags", "--output_dir=x"], "a.flags: cannot be read"),
        (["--densities=0"], "--densities=0: must be a number above 0"),
        (["--densities=0.1,2"], "must be a number above 0"),
        (["--seeds=one"], "--seeds=one: must be an integer"),
        (["--seeds="], "must be a list of values"),
        (["--parallel_runs=0"], "--parallel_runs=0: must be an integer"),
        (
            ["--flagfiles=a.flags", "--output_dir=x", "--seed=3"],
            "--seed: is set for each run; give --seeds",
        ),
        (
            ["--flagfiles=a.flags", "--output_dir=x", "--sparsity=0.5"],
            "give --densities",
        ),
        (["--flagfile={tmp}/none.flags"], "cannot be read"),
    ],
)
def test_bad_input(arguments, message, tmp_path, capsys):
    assert message in refuse(compare, arguments, tmp_path, capsys)
    assert os.listdir(tmp_path) == []
