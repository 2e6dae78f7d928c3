"""What runs of a comparison have warned of."""

import io
from types import SimpleNamespace

from rich.console import Console

from dsr_tf.commands import compare_report
from dsr_tf.comparison import run_log


class Named(SimpleNamespace):
    def __init__(self, name):
        super().__init__(folder=f"out/{name}")
        self.name = name

    def __str__(self):
        return self.name


def test_warnings_since_a_run_last_began(tmp_path):
    run = SimpleNamespace(folder="out/mine-0.1-seed1")
    folder = str(tmp_path)
    assert run_log.warnings(folder, run) == []
    with run_log.opened(folder, run) as file:
        file.write(b"WARNING:absl:one\nEpoch 1/2\nWARNING:absl:one\n")
        file.write(b"WARNING:absl:two [x]\nWARNING:tensorflow:three\n\xff")
    assert run_log.path(folder, run) == str(tmp_path / "mine-0.1-seed1.txt")
    assert run_log.warnings(folder, run) == ["one", "two [x]"]
    with run_log.opened(folder, run) as file:
        file.write(b"Epoch 2/2\n")
    assert run_log.warnings(folder, run) == []
    text = (tmp_path / "mine-0.1-seed1.txt").read_bytes()
    assert text.startswith(b"WARNING:absl:one") and b"goes on" in text


def test_a_comparison_prints_each_warning_once(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    report = compare_report.RunReport(console, str(tmp_path))
    for name, said in (
        ("first", [b"few moves", b"own"]),
        ("second", [b"few moves"]),
        ("third", []),
        ("fourth", [b"few moves", b"another"]),
    ):
        run = Named(name)
        with run_log.opened(str(tmp_path), run) as file:
            file.writelines(b"WARNING:absl:%s\n" % line for line in said)
        report(run, {"test_accuracy": 0.5}, 3.0)
    report(Named("fifth"), None, 3.0)
    assert console.file.getvalue().splitlines() == [
        "first: 50.00%, 3 s",
        "  few moves",
        "  own",
        "second: 50.00%, 3 s, with a warning as above",
        "third: 50.00%, 3 s",
        "fourth: 50.00%, 3 s, with a warning as above",
        "  another",
        "fifth: failed",
    ]
