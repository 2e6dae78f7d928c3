"""What is printed is what things are called, on any terminal."""

import io
import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

import dsr_tf
from dsr_tf.command_line import terminal
from dsr_tf.commands import evaluate
from dsr_tf.commands import export
from dsr_tf.commands import report
from dsr_tf.commands.results import results_table
from dsr_tf.comparison import aggregate
from dsr_tf.comparison import tables
from dsr_tf.core import folding
from tests.comparison.test_aggregate import run as compared

NAMES = ("a[/b]", "run[dsr]", "[red]x", "x:smile:")


def printed_by(table):
    console = Console(width=200, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_names_in_a_summary_of_a_model(name):
    model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(8)])
    model = dsr_tf.sparsify(model, 0.5, seed=0)
    summary = dsr_tf.sparsity_summary(model)
    layer = type(summary.layers[0])(f"{name}/kernel", (9, 8), "element", 72, 36)
    other = type(summary)(name, [layer], 80, {name: f"why {name}"})
    for text in (str(other), printed_by(other.table())):
        assert f"Sparsity of {name}" in text
        assert f"{name}/kernel" in text
        assert f"Left dense: {name}: why {name}" in " ".join(text.split())


@pytest.fixture
def bracketed(world, tmp_path):
    """A run in a folder, of a data set and a kernel with such names."""
    folder = tmp_path / "a[/b]"
    shutil.copytree(world / "run", folder)
    text = (folder / "summary.json").read_text()
    summary = json.loads(text.replace("fc1/kernel", "fc1[/b]/kernel"))
    summary["model"] = summary["dataset"] = "set[dsr]"
    (folder / "summary.json").write_text(json.dumps(summary))
    moves = folder / "reallocations.csv"
    moves.write_text(moves.read_text().replace("fc1/", "fc1[/b]/"))
    return folder


def words(capsys):
    return "".join(capsys.readouterr().out.split())


def test_names_in_a_report(bracketed, capsys):
    report.main(["report", f"--run={bracketed}"])
    out = words(capsys)
    for text in ("set[dsr]", "fc1[/b]/kernel", f"Readfrom{bracketed}"):
        assert text in out
    assert f"Drawnto{bracketed}/densities.png" in out


def test_names_in_an_evaluation(bracketed, capsys, monkeypatch):
    model = bracketed / "model.keras"
    evaluate.main(["evaluate", f"--model={model}", "--dataset=digits"])
    assert str(model) in words(capsys)
    for name in ("load_times", "latencies"):  # Which take their time.
        monkeypatch.setattr(
            evaluate.timing, name, lambda models, *_: [0.0] * len(models)
        )
    evaluate.main(["evaluate", f"--model={model},{model}", "--dataset=digits"])
    assert "a[/b]" in words(capsys)


@pytest.mark.parametrize(
    "name, width, lines",
    [
        ("run/seed-1/m.keras", 30, ["run/seed-1/m.keras"]),
        ("run/seed-1/m.keras", 9, ["run/seed-", "1/m.keras"]),
        ("run/seed-1/m.keras", 8, ["run/", "seed-1/", "m.keras"]),
        ("first again", 6, ["first", "again"]),
        # Where a part alone is too long.
        ("lenet_300/x", 7, ["lenet_", "300/x"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("1x1x512x2048", 10, ["1x1x512x", "2048"]),
        ("exact", 4, ["exac", "t"]),
        # Words of a sentence stay whole if they can.
        ("of a/b c/d", 6, ["of a/b", "c/d"]),
        ("in long_name/x y", 8, ["in long_", "name/x y"]),
        ("日本語", 4, ["日本", "語"]),
        ("", 4, [""]),
    ],
)
def test_names_are_folded_between_their_parts(name, width, lines):
    assert folding.fold(name, width) == lines
    console = terminal.console(width=width, file=io.StringIO())
    table = Table.grid()
    table.add_row(folding.Name(name))
    console.print(table)
    printed = console.file.getvalue().splitlines()
    assert [line.rstrip() for line in printed] == lines


@pytest.mark.parametrize(
    "folder, names, printed",
    [
        (
            "",
            ["a.keras", "cifar10/dsr-0.9/seed-1.keras"],
            ["a.keras ", "cifar10/dsr- ", "0.9/seed- ", "1.keras "],
        ),
        (
            "",
            ["a_name_of_many_words_without_an_end.keras", "b.keras"],
            [
                "1: a_name_of_many_words_without_an_end.keras ",
                "2: b.keras ",
                "first again ",
            ],
        ),
        ("a_folder_that/is_called/" * 4, ["a.keras", "b.keras"], ["a.keras "]),
    ],
    ids=["folded", "numbered", "title"],
)
def test_names_in_a_narrow_comparison(
    folder, names, printed, world, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("load_times", "latencies"):
        monkeypatch.setattr(
            evaluate.timing, name, lambda models, *_: [0.125] * len(models)
        )
    paths = [tmp_path / folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(world / "run" / "model.keras", path)
    paths = ",".join(map(str, paths))
    evaluate.main(["evaluate", f"--model={paths}", "--dataset=digits"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in printed:
        assert any(f"{line.lstrip()} ".startswith(name) for line in lines), name
    # The figures are all there.
    assert sum(line.count("125.00 ms") for line in lines) == 6
    for part in folder.split("/"):
        assert part in " ".join(lines)


def test_names_in_an_export(bracketed, tmp_path, capsys):
    path = tmp_path / "m[onnx].onnx"
    export.main(
        [
            *("export", f"--model={bracketed}/model.keras"),
            *("--format=onnx", f"--output={path}"),
        ]
    )
    assert "m[onnx].onnx" in words(capsys)


def test_names_in_a_comparison():
    rows = aggregate.rows([compared("a[/b]", "dsr", 0.1, 1, 0.9, 150, 3.0)])
    console = terminal.console(width=120, file=io.StringIO())
    console.print(tables.rich_table(rows, "set[dsr]"))
    assert "a[/b]" in console.file.getvalue()
    assert "set[dsr]" in console.file.getvalue()


def test_names_in_a_comparison_of_80_columns():
    name = "masks_original_weights"
    rows = aggregate.rows([compared(name, "dsr", 0.1, 1, 0.9, 150, 3.0)])
    console = terminal.console(width=80, file=io.StringIO())
    console.print(tables.rich_table(rows, "title"))
    printed = console.file.getvalue().split()
    assert {"masks_", "original_", "weights"} < set(printed)


def test_the_folder_of_a_run_is_folded_between_its_parts(world):
    summary = json.loads((world / "run" / "summary.json").read_text())
    console = terminal.console(width=80, file=io.StringIO())
    console.print(results_table(summary, "/a_long_folder_of_runs" * 5))
    printed = console.file.getvalue().split()
    lines = [word for word in printed if "folder" in word]
    assert len(lines) > 1
    assert "/".join(lines).count("a_long_folder_of_runs") == 5


IN_ASCII = """
import sys
from dsr_tf.core import folding
from dsr_tf.command_line import terminal
from dsr_tf.comparison import aggregate, tables
from tests.comparison.test_aggregate import run
assert sys.stdout.encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968")
rows = aggregate.rows([
    run("n\\u00e4her", "dsr", 0.1, seed, 0.9, 150, 3.0) for seed in (1, 2, 3)
])
console = terminal.console()
console.print(tables.rich_table(rows, "title"))
console.print("l\\u00e4uft", "\\udcff")
open(sys.argv[1], "w", encoding="utf-8").write(tables.markdown(rows))
"""


def test_a_terminal_that_has_ascii_only(tmp_path):
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", IN_ASCII, str(tmp_path / "c.md")],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode("ascii")
    assert "90.00 +- 0.00" in text and "n\\xe4her" in text and "-" in text
    assert "näher" in (tmp_path / "c.md").read_text(encoding="utf-8")


def test_top_5_of_0_is_told(world):
    summary = json.loads((world / "run" / "summary.json").read_text())
    table = results_table({**summary, "test_top5_accuracy": 0.0}, "folder")
    assert "test accuracy, top 5" in printed_by(table)


@pytest.mark.parametrize(
    "format, activation",
    [
        ("keras", None),
        ("keras", "softmax"),
        ("keras", "sigmoid"),
        # Outputs of SavedModels do not tell a sigmoid from other things.
        ("saved_model", None),
        ("saved_model", "softmax"),
    ],
)
def test_cross_entropy_of_what_a_model_gives(
    activation, format, tmp_path, capsys
):
    """As Keras computes it from the same outputs."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10, activation)(x))
    path = tmp_path / "m.keras"
    model.save(path)
    if format == "saved_model":
        path = tmp_path / "m"
        dsr_tf.export.saved_model(model, str(path))
    data = dsr_tf.training.build.load_data("digits", None, None)
    images, labels = next(iter(evaluate.datasets.test_batches(data)))
    expected = keras.losses.sparse_categorical_crossentropy(
        labels, model(images).numpy(), from_logits=activation is None
    )
    expected = f"{float(np.mean(expected)):.4f}"
    evaluate.main(["evaluate", f"--model={path}", "--dataset=digits"])
    out = words(capsys)
    assert f"cross-entropy{expected}" in out
    kind = "logits" if activation is None else "probabilities"
    assert f"outputstakenfor{kind}" in out


@pytest.mark.parametrize(
    "script, name",
    [
        ("/usr/bin/dsr-report", "dsr-report"),
        ("dsr-report.exe", "dsr-report"),
        ("/lib/dsr_tf/report.py", "dsr_tf.report"),
        ("notebook", "dsr_tf.report"),
    ],
)
def test_commands_say_the_name_they_are_called_by(
    script, name, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", [script, "--run=none"])
    with pytest.raises(SystemExit):
        report.main()
    assert capsys.readouterr().err.startswith(f"{name}: flag --run=none: ")
