"""`compare` that is stopped: its runs end with it, and none is started."""

import os
import shutil
import signal
import sys
import threading
import time

import pytest

from dsr_tf.command_line import UsageError
from dsr_tf.commands import benchmark
from dsr_tf.commands import compare
from dsr_tf.commands import evaluate
from dsr_tf.commands import export
from dsr_tf.commands import report
from dsr_tf.comparison.execute import Stopped
from dsr_tf.comparison.execute import execute
from dsr_tf.comparison.plan import plan
from dsr_tf.training.lock import FolderLock


def _kill_when(path, number):
    """Send a signal to this process when a file has come."""

    def wait():
        for _ in range(1200):
            if path.exists() and path.stat().st_size:
                break
            time.sleep(0.1)
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize(
    "number, name",
    [
        pytest.param(signal.SIGINT, "Ctrl-C", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_all_runs_and_starts_none(number, name, tmp_path, capsys):
    flagfile = tmp_path / "static.flags"
    flagfile.write_text("--method=static\n--epochs=100000\n--nojit_compile")
    first, second = (
        tmp_path / "out" / f"static-0.1-seed{seed}" for seed in (1, 2)
    )
    before = signal.getsignal(number)
    _kill_when(first / "metrics.csv", number)
    with pytest.raises(SystemExit) as end:
        compare.main(
            [
                *("compare", "--seeds=1,2", f"--flagfiles={flagfile}"),
                f"--output_dir={tmp_path}/out",
            ]
        )
    assert end.value.code == 128 + number
    assert signal.getsignal(number) is before
    captured = capsys.readouterr()
    assert captured.err == (
        f"compare: stopped by {name}, and the runs with it; the same "
        "command goes on\n"
    )
    assert "seed 2" not in captured.out and not second.exists()
    # The run has saved, and let its folder go.
    FolderLock(first).release()
    assert list((first / "checkpoints").iterdir())
    log = (tmp_path / "out" / "logs" / f"{first.name}.txt").read_text()
    assert "stopped by SIGTERM, with a checkpoint" in log


@pytest.mark.parametrize(
    "number, is_heard",
    [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGHUP, False)],
)
def test_signals_that_the_shell_ignores(
    number, is_heard, tmp_path, monkeypatch
):
    """Ctrl-C where it runs in the background; SIGHUP as `nohup` wants."""
    child = tmp_path / "child"
    child.write_text("#!/bin/sh\necho begun\nexec sleep 3\n")
    child.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(child))
    (run,) = _plan(tmp_path, [0.1])
    before = signal.signal(number, signal.SIG_IGN)
    try:
        logs = tmp_path / "logs"
        name = f"{os.path.basename(run.folder)}.txt"
        _kill_when(logs / name, number)
        if is_heard:
            with pytest.raises(Stopped):
                execute([run], logs, 1, lambda *ended: None)
        else:
            assert execute([run], logs, 1, lambda *ended: None)[0] == [run]
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_run_that_is_skipped_points_to_no_log(tmp_path, capsys, monkeypatch):
    """It needs one that failed."""
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    for name, line in (
        ("first", "--method=dsr"),
        ("second", "--method=static\n--copy_masks_from={first}"),
        ("third", "--method=static\n--copy_masks_from={second}"),
    ):
        (tmp_path / f"{name}.flags").write_text(line)
    flagfiles = [f"{tmp_path}/{n}.flags" for n in ("first", "second", "third")]
    with pytest.raises(SystemExit) as end:
        compare.main(
            [
                *("compare", f"--flagfiles={','.join(flagfiles)}"),
                f"--output_dir={tmp_path}/out",
            ]
        )
    assert end.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    logs = tmp_path / "out" / "logs"
    assert f"failed, see {logs}/first-0.1-seed1.txt" in lines[0]
    assert (
        "second, density 0.1, seed 1 was not started, for it needs"
        in (lines[1])
    )
    assert lines[2].endswith("needs second-0.1-seed1")
    assert os.listdir(logs) == ["first-0.1-seed1.txt"]


def _plan(tmp_path, densities):
    path = tmp_path / "static.flags"
    path.write_text("--method=static")
    return plan([str(path)], [1], densities, str(tmp_path / "out"), [])


def test_densities_that_differ_late_have_folders_of_their_own(tmp_path):
    runs = _plan(tmp_path, [0.1234567, 0.1234568, 0.1, 1e-5])
    assert [os.path.basename(run.folder) for run in runs] == [
        "static-0.1234567-seed1",
        "static-0.1234568-seed1",
        "static-0.1-seed1",
        "static-1e-05-seed1",
    ]
    assert len({str(run) for run in runs}) == 4


def test_a_folder_that_was_finished_before_keeps_its_name(tmp_path):
    """Six digits of the density were in its name."""
    folder = tmp_path / "out" / "static-0.123457-seed1"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(
        '{"settings": {"sparsity": 0.8765433}}'
    )
    first, second = _plan(tmp_path, [0.1234567, 0.1234568])
    assert first.folder == str(folder)
    assert second.folder.endswith("static-0.1234568-seed1")


@pytest.mark.parametrize("content", ["", "[]", '{"settings": 3}', "\0"])
def test_a_damaged_summary_is_not_run_over(content, tmp_path):
    (run,) = _plan(tmp_path, [0.1])
    os.makedirs(run.folder)
    with open(os.path.join(run.folder, "summary.json"), "w") as file:
        file.write(content)
    with pytest.raises(UsageError, match="remove the folder .*0.1-seed1 to"):
        run.summary()


@pytest.mark.parametrize(
    "command, first_thing_it_does, argument",
    [
        (evaluate, "dsr_tf.export.registry.find", "--model=x"),
        (report, "dsr_tf.commands.report._read_summary", "--run=x"),
        (benchmark, "dsr_tf.training.experiment.from_flags", "--rounds=1"),
        (export, "dsr_tf.commands.export._check", "--model=x"),
    ],
    ids=["evaluate", "report", "benchmark", "export"],
)
def test_ctrl_c_is_one_line(
    command, first_thing_it_does, argument, monkeypatch, capsys
):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(first_thing_it_does, interrupt)
    with pytest.raises(SystemExit) as end:
        command.main(["command", argument])
    assert end.value.code == 130
    assert capsys.readouterr().err == "command: stopped by Ctrl-C\n"
