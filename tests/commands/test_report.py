import json

import matplotlib.image
import pytest

from dsr_tf.commands import density_plot
from dsr_tf.commands import report
from dsr_tf.commands import train


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
    picture = matplotlib.image.imread(run / "densities.png")
    assert picture.shape[0] > 400 and picture.std() > 0.05


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
            "metrics.csv, reallocations.csv, checkpoints/, saved_model/, "
            "model.keras",
        ),
    ):
        table = report.results_table(summary, str(folder))
        assert table.caption == f"Written to {folder}: summary.json, {names}"


def test_densities_are_those_of_the_run(run):
    summary = json.loads((run / "summary.json").read_text())
    sizes = {k["path"]: k["size"] for k in summary["kernels"]}
    steps, densities = density_plot.read_densities(
        run / "reallocations.csv", sizes
    )
    assert steps == [7, 14, 21]
    assert list(densities) == ["fc1/kernel", "fc2/kernel", "fc3/kernel"]
    for kernel in summary["kernels"]:
        last = densities[kernel["path"]][-1]
        assert (
            last == kernel["density"] == kernel["num_active"] / kernel["size"]
        )
    for at_step in zip(*densities.values()):
        active = sum(d * n for d, n in zip(at_step, sizes.values()))
        assert round(active) == 5020


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
