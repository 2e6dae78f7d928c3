import io
import json
import shutil
import types

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

import dsr_tf
from dsr_tf.commands import density_plot
from dsr_tf.commands import report
from dsr_tf.commands import results
from dsr_tf.commands import train
from dsr_tf.core import printing
from dsr_tf.models import lenet_300_100
from dsr_tf.page.run import Run
from dsr_tf.training import run_summary
from dsr_tf.training.experiment import Experiment


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "dsr"
    train.main(
        [
            "train",
            "--dataset=digits",
            "--epochs=2",
            "--num_reallocated=300",
            "--period=7",
            "--nojit_compile",
            f"--output_dir={folder}",
        ]
    )
    return folder


def test_it_prints_and_draws(run, capsys):
    report.main(["report", f"--run={run}"])
    printed = capsys.readouterr().out
    for text in ("test accuracy", "fc3/kernel", "1,000", "densities.png"):
        assert text in printed
    summary = json.loads((run / "summary.json").read_text())
    assert summary["num_active_macs"] == 5020 < summary["num_macs"]
    # Of Dense layers each weight counts once, wherever it is.
    assert summary["training_macs_ratio"] == pytest.approx(0.1, rel=1e-12)
    assert "by active weights 5,020" in " ".join(printed.split())
    # 1,000 weights of the last kernel, of which 100 are active.
    words = printed.partition("Masked kernels")[2].split()
    assert "active MACs" in " ".join(words)
    line = words[words.index("fc3/kernel") :][:9]
    assert line[1] == "1,000" and line[4:7] == ["1.0", "k", line[2]]
    picture = matplotlib.image.imread(run / "densities.png")
    assert picture.shape[0] > 400 and picture.std() > 0.05


def test_more_weights_on_the_way_are_told(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["largest_num_active_parameters"] == 5840
    for largest, is_told in ((5840, False), (5841, True), (None, False)):
        summary["largest_num_active_parameters"] = largest or 0
        if largest is None:  # As an earlier version wrote it.
            for name in ("num_macs", "num_active_macs", "training_macs_ratio"):
                del summary[name]
            del summary["largest_num_active_parameters"]
        console = Console(width=99, file=io.StringIO())
        console.print(results.results_table(summary, str(run)))
        printed = console.file.getvalue()
        assert ("at most, while it trained" in printed) == is_told
        assert ("multiply-adds" in printed) == (largest is not None)


def test_it_names_the_files_that_there_are(run, tmp_path):
    summary = json.loads((run / "summary.json").read_text())
    # As a method leaves it that moves no weights.
    for name in ("checkpoints", "saved_model"):
        (tmp_path / name).mkdir()
    for name in ("summary.json", "metrics.csv", "model.keras"):
        (tmp_path / name).touch()
    for folder, names in (
        (tmp_path, "metrics.csv, checkpoints/, saved_model/, model.keras"),
        (
            run,
            "metrics.csv, reallocations.csv, ages.csv, masks.json, "
            "checkpoints/, saved_model/, model.keras",
        ),
    ):
        table = results.results_table(summary, str(folder))
        caption = f"Written to {folder}: summary.json, {names}"
        assert str(table.caption) == caption


@pytest.mark.parametrize(
    "size, other, expected",
    [
        (100, 250, "2.5 times smaller than"),
        (250, 100, "2.5 times larger than"),
        (100, 104, "as large as"),
        (104, 100, "as large as"),
        (100, 106, "1.1 times smaller than"),
    ],
)
def test_sizes_are_compared_in_words(size, other, expected):
    assert printing.compared(size, other) == expected


def test_densities_are_those_of_the_run(run):
    summary = run_summary.read(run)
    moves = Run.read(str(run), summary).moves
    assert moves.steps.tolist() == [7, 14, 21]
    assert moves.paths == ("fc1/kernel", "fc2/kernel", "fc3/kernel")
    for kernel, last in zip(summary["kernels"], moves.densities[-1]):
        assert (
            last == kernel["density"] == kernel["num_active"] / kernel["size"]
        )
    assert moves.active.sum(axis=1).tolist() == [5020] * 3
    starts = [kernel["num_active_at_start"] for kernel in summary["kernels"]]
    assert moves.at_start.tolist() == starts == [1920, 3000, 100]


def test_ages_are_those_of_the_run(run):
    read = Run.read(str(run), run_summary.read(run))
    moves, ages = read.moves, read.ages
    assert ages.steps.tolist() == moves.steps.tolist()
    # Of DSR all that is grown stays until the next; so does the budget.
    np.testing.assert_array_equal(ages.grown, moves.grown)
    np.testing.assert_array_equal(ages.classes[:, 0], moves.grown.sum(axis=1))
    assert (ages.classes.sum(axis=1) + ages.from_start == 5020).all()
    assert (ages.pruned_at_once[0] == 0).all()
    assert (ages.pruned_at_once[1:] <= moves.pruned[1:]).all()
    assert ages.pruned_at_once.any()


def test_a_page_of_the_run_and_of_two(run, tmp_path, monkeypatch, capsys):
    report.main(["report", f"--run={run}"])
    text = (run / "report.html").read_text()
    for said in ("lenet_300_100 on digits, dsr", "Input image", "fc3"):
        assert said in text
    other = tmp_path / "other"
    other.mkdir()
    for path in run.iterdir():
        if path.suffix in (".json", ".csv"):
            shutil.copy(path, other / path.name)
    monkeypatch.chdir(tmp_path)
    report.main(["report", f"--run={run},{other}"])
    assert "2 runs of dsr_tf" in (tmp_path / "report.html").read_text()
    # Of each there is a table.
    assert capsys.readouterr().out.count("Masked kernels") == 3
    assert not (other / "densities.png").exists()


def test_a_picture_is_of_one_run(run, tmp_path, capsys):
    for name in ("two", "none"):
        (tmp_path / name).mkdir()
        _without_masks(run, tmp_path / name, "thin")
    plot = f"--plot={tmp_path}/x.png"
    for folders, said in (
        (f"{run},{tmp_path}/two", "is a picture of one run"),
        (f"{tmp_path}/none", "no weights have moved"),
    ):
        with pytest.raises(SystemExit) as error:
            report.main(["report", f"--run={folders}", plot])
        assert error.value.code == 2
        assert said in capsys.readouterr().err


def test_plot_of_one_kernel(tmp_path):
    path = tmp_path / "densities.png"
    density_plot.write_plot([1, 2], {"fc/kernel": [0.1, 0.2]}, path, "title")
    assert path.stat().st_size > 1000


def test_ticks_of_densities():
    few = density_plot._ticks(0.075, 0.25)
    np.testing.assert_allclose(few, [0.1, 0.15, 0.2])
    many = density_plot._ticks(0.009, 1.1)
    np.testing.assert_allclose(many, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1])
    narrow = density_plot._ticks(0.31, 0.45)
    np.testing.assert_allclose(narrow, [0.33, 0.36, 0.39, 0.42, 0.45])


def test_the_picture_begins_at_the_start(run, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        density_plot, "write_plot", lambda *given: drawn.append(given)
    )
    report.main(["report", f"--run={run}"])
    steps, lines, *_ = drawn[0]
    assert steps[0] == 0
    # Each kernel has a tenth of its weights active before anything moves.
    for densities in lines.values():
        assert len(densities) == len(steps)
        assert densities[0] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "must be the folder of a finished run"),
        ("{", "must be the folder of a finished run"),
        ("{}", "was trained by an earlier version"),
    ],
)
def test_refusals(content, message, tmp_path, capsys):
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(SystemExit) as error:
        report.main(["report", f"--run={tmp_path}"])
    assert error.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_a_run_is_required(capsys):
    with pytest.raises(SystemExit) as error:
        report.main(["report"])
    assert error.value.code == 2
    assert "--run is required" in capsys.readouterr().err


def _without_masks(run, folder, method):
    """A finished run as a method leaves it that has no masks."""
    summary = json.loads((run / "summary.json").read_text())
    summary.update(
        method=method, num_reallocations=0, kernels=[], mask_density=1.0
    )
    (folder / "summary.json").write_text(json.dumps(summary))
    return summary


@pytest.mark.parametrize("method", ["thin", "hashed", "of_a_later_version"])
def test_a_run_without_masks(method, run, tmp_path, capsys):
    summary = _without_masks(run, tmp_path, method)
    report.main(["report", f"--run={tmp_path}"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "No kernel has a mask." in printed
    assert "Masked kernels" not in printed
    # There are none that could be reallocated.
    assert "reallocations" not in printed
    assert "density of masked kernels" not in printed
    # Those of a thin or tied network are not those of the dense one.
    assert "smaller than its parameters in float32" in printed
    assert "dense float32" not in printed
    assert f"{summary['model_density']:.4f}" in printed


def test_a_run_with_masks_is_compared_with_all_weights(run, capsys):
    number = run_summary.read(run)["num_reallocations"]
    report.main(["report", f"--run={run}"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "density of masked kernels 0.1000" in printed
    assert number and f"reallocations {number} " in printed
    assert "smaller than dense float32" in printed
    assert "Masked kernels" in printed


def test_kernels_whose_macs_are_not_known(run):
    summary = json.loads((run / "summary.json").read_text())
    assert "–" not in printing.printed(results.kernels_table(summary))
    summary["kernels"][0]["num_uses"] = None
    printed = printing.printed(results.kernels_table(summary))
    assert printed.count("–") == 3 and "–: MACs that are not known" in printed


@pytest.mark.parametrize("sparsity, said", [(None, False), (0.9, True)])
@pytest.mark.parametrize(
    "method, title",
    [
        ("dense", "on digits, dense: "),
        ("slimming", "slimming, training with its "),
    ],
)
def test_the_first_line_of_a_run(sparsity, said, method, title):
    model = lenet_300_100((8, 8, 1))
    if sparsity:
        model = dsr_tf.sparsify(model, sparsity, seed=0)
    started = types.SimpleNamespace(
        model=model,
        start=0,
        is_resumed=False,
        cluster=types.SimpleNamespace(is_distributed=False),
        experiment=Experiment(output_dir="x", dataset="digits", method=method),
    )
    console = Console(file=io.StringIO())
    train._announce(started, console)
    printed = console.file.getvalue()
    assert title in printed and "parameters active" in printed
    assert ("mask density 0.1000" in printed) == said
    assert ("mask density" in printed) == said


@pytest.mark.parametrize("name", ["summary.json", "reallocations.csv"])
@pytest.mark.parametrize("kind", ["gone", "folder"])
def test_sentences_have_no_numbers_of_errors(kind, name, run, tmp_path, capsys):
    for file in ("summary.json", "reallocations.csv"):
        shutil.copy(run / file, tmp_path / file)
    (tmp_path / name).unlink()
    if kind == "folder":
        (tmp_path / name).mkdir()
    with pytest.raises(SystemExit):
        report.main(["report", f"--run={tmp_path}"])
    error = capsys.readouterr().err
    assert "Errno" not in error and error.count(str(tmp_path / name)) == 1
