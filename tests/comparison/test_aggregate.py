import csv
import dataclasses
import io
import warnings

import pytest
from rich.console import Console

from dsr_tf.comparison import aggregate
from dsr_tf.comparison import tables
from dsr_tf.comparison.plan import PlannedRun
from dsr_tf.comparison.plot import write_plot


def run(name, method, density, seed, accuracy, parameters, seconds, mask=0.1):
    planned = PlannedRun(name, method, density, seed, "", [], [], {})
    return planned, {
        "test_accuracy": accuracy,
        "num_active_parameters": parameters,
        "num_parameters": 1000,
        "mask_density": mask,
        "seconds_per_epoch": seconds,
    }


@pytest.fixture
def rows():
    return aggregate.rows(
        [
            run("mine", "dsr", 0.1, 1, 0.90, 150, 3.0),
            run("mine", "dsr", 0.1, 2, 0.94, 150, 5.0),
            run("mine", "dsr", 0.1, 3, 0.92, 150, 4.0),
            run("mine", "dsr", 0.2, 1, 0.95, 250, 4.0, 0.2),
            run("dense", "dense", None, 1, 0.96, 1000, 2.0, 1.0),
            run("dense", "dense", None, 2, 0.98, 1000, 2.0, 1.0),
            run("tied", "hashed", 0.1, 1, 0.8, 150, 2.0, 1.0),
        ]
    )


def test_means_by_hand(rows):
    mine, other, dense, tied = rows
    assert mine.num_seeds == 3 and other.num_seeds == 1
    assert mine.accuracy == pytest.approx(0.92)
    assert mine.deviation == pytest.approx(0.02)
    # Of one or two there is none.
    assert other.deviation is None and dense.deviation is None
    assert mine.difference == pytest.approx(-0.05)
    assert dense.difference == 0
    assert mine.model_density == pytest.approx(0.15)
    assert mine.epoch_ratio == pytest.approx(2.0)
    assert mine.mask_density == pytest.approx(0.1)
    assert tied.mask_density is None


def test_without_a_dense_network():
    (row,) = aggregate.rows([run("mine", "dsr", 0.1, 1, 0.9, 150, 3.0)])
    assert row.difference is row.model_density is row.epoch_ratio is None
    assert "–" in tables.markdown([row])


def test_epochs_that_have_compiled_are_not_compared():
    runs = [
        run("mine", "dsr", 0.1, 1, 0.9, 150, 8.0),
        run("mine", "dsr", 0.1, 2, 0.9, 150, 3.0),
        run("dense", "dense", None, 1, 0.96, 1000, 2.0, 1.0),
        run("dense", "dense", None, 2, 0.96, 1000, 9.0, 1.0),
    ]
    epochs = [1, 10, 10, 1]
    for (_, summary), number in zip(runs, epochs, strict=True):
        summary["epochs"] = number
    mine, dense = aggregate.rows(runs)
    assert (mine.epoch_ratio, dense.epoch_ratio) == (1.5, 1)
    mine, _ = aggregate.rows([runs[0], runs[2]])
    assert mine.epoch_ratio is None
    mine, _ = aggregate.rows([runs[1], runs[3]])
    assert mine.epoch_ratio is None


def test_densities_where_a_method_has_several(rows):
    first, *others = tables.markdown(rows, "6").splitlines()
    assert first.startswith("| density | method |")
    assert [line.split("|")[1] for line in others[1:]] == [
        " 1 ",
        " 0.2 ",
        " 0.1 ",
        " 0.1 ",
    ]
    assert tables.markdown(rows[1:], "6").startswith("| method | strict |")


def test_markdown(rows):
    lines = tables.markdown(rows).splitlines()
    assert len(lines) == 2 + 4
    # Dense first, then by density.
    assert lines[2].startswith("| 1 | dense | 97.00 | +0.00 | 1,000 |")
    assert lines[3].startswith("| 0.2 | mine | 95.00 | -2.00 | 250 |")
    assert lines[4].startswith("| 0.1 | mine | 92.00 ± 2.00 | -5.00 | 150 |")


def test_a_run_of_no_density():
    """Of a method that narrows, whose flagfile says how much stays."""
    planned, summary = run("narrow", "dsr", None, 1, 0.9, 150, 3.0)
    macs = {"num_macs": 1234, "num_active_macs": 321}
    (row,) = aggregate.rows([(planned, {**summary, **macs})])
    line = tables.markdown([row]).splitlines()[-1]
    assert line.startswith("| – | narrow |")
    assert line.endswith("| 1,234 | 321 | – |")


def test_the_table_fits_a_terminal(rows):
    wide = aggregate.rows(
        [
            run("gradual", "gradual", 0.01, s, 0.9 - s / 10, 12_345_678, 9.9)
            for s in (1, 2, 3)
        ]
    )
    console = Console(width=80, file=io.StringIO())
    console.print(tables.rich_table(rows + wide, "title"))
    text = console.file.getvalue()
    assert "…" not in text and "12,345,678" in text and "± 10.00" in text


@pytest.mark.parametrize("table", ["results", "6"])
def test_no_number_is_cut_for_a_long_name(table):
    name = "a_penalty_with_a_very_long_name"
    compared = aggregate.rows(
        [
            run(name, "dsr", 0.1, s, 0.9 - s / 9, 12_345_678, 9.9)
            for s in (1, 2, 3)
        ]
    )
    console = Console(width=80, file=io.StringIO())
    console.print(tables.rich_table(compared, "title", table))
    text = console.file.getvalue()
    assert "…" not in text and "12,345,678" in text and "± 11.11" in text


def test_csv(rows, tmp_path):
    tables.write_csv(rows, tmp_path / "c.csv")
    with open(tmp_path / "c.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert [r["name"] for r in read] == ["dense", "mine", "mine", "tied"]
    assert float(read[2]["accuracy"]) == pytest.approx(0.92)
    assert read[1]["deviation"] == ""


def test_plot(rows, tmp_path):
    import matplotlib.image

    write_plot(rows, tmp_path / "c.png", "title")
    picture = matplotlib.image.imread(tmp_path / "c.png")
    assert picture.shape[0] > 400 and picture.std() > 0.05


def test_plot_of_the_dense_network_alone(rows, tmp_path):
    dense = [row for row in rows if row.density is None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_plot(dense, tmp_path / "c.png", "title")
    assert (tmp_path / "c.png").stat().st_size > 1000


def test_ticks_of_a_narrow_range():
    from dsr_tf.comparison import plot

    assert list(plot._ticks(85.2, 90.1)) == [86, 87, 88, 89, 90]
    found = [50, 60, 70, 80, 90, 95, 97, 98, 99]
    assert list(plot._ticks(45, 99)) == found
    # Those of low accuracies are near to each other.
    assert list(plot._ticks(0, 99)) == [10, 30, *found]


def test_plot_over_multiply_adds(rows, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, dpi: drawn.append(self)
    )
    rows = [
        dataclasses.replace(row, num_active_macs=1000.0 * (i + 1))
        for i, row in enumerate(rows)
        if row.density in (None, 0.1)
    ]
    write_plot(rows, tmp_path / "c.png", "title", "num_active_macs")
    (figure,) = drawn
    (axes,) = figure.axes
    assert axes.get_xlabel().startswith("multiply-adds")
    places = [x for line in axes.lines for x in line.get_xdata()]
    # (The dense network is a line across.)
    assert {1000.0, 4000.0} <= set(places)
    assert "(3,000): 97.00" in axes.texts[0].get_text()


def test_plot_of_one_density(rows, tmp_path):
    import matplotlib.image

    dense_and_first = [r for r in rows if r.density in (None, rows[-1].density)]
    write_plot(dense_and_first, tmp_path / "c.png", "title")
    picture = matplotlib.image.imread(tmp_path / "c.png")
    assert picture.min() < 0.5 < picture.max()
