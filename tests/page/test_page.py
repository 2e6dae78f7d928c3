"""Whole pages: what they hold, how large they are, and what they survive."""

import html.parser
import time

import pytest

from dsr_tf.page.page import page
from dsr_tf.page.run import Run
from dsr_tf.page.sections import several
from dsr_tf.training import run_summary

NASTY = "<script>alert(1)</script>\"'&\u202e]]>"
TITLES = (
    "Accuracy and loss",
    "Density of every kernel",
    "Flow of weights between layers",
    "Threshold and moved weights",
    "How long weights live",
    "Masks at the end",
    "Cost",
)


class Reader(html.parser.HTMLParser):
    """Notes elements, checks that each ends, and what pages may hold."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.headings = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name == "src":
                assert value.startswith("data:image/png;base64,")
            if name == "href":
                assert value.startswith("#")
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def read(folder):
    return Run.read(str(folder), run_summary.read(folder))


def parsed(runs):
    text = page(runs)
    text.encode()
    reader = Reader()
    reader.feed(text)
    assert not reader.open and "script" not in reader.tags
    assert "http" not in text.replace("http-equiv", "")
    return reader, text


def test_a_page_of_one_run(logged):
    reader, text = parsed([read(logged(["one/kernel", "two/kernel"]))])
    assert tuple(reader.headings) == TITLES
    for said in ("90.0\u00a0%", "best 95.0", "3 of 64 outputs dead"):
        assert said in text


def test_names_are_no_markup(logged):
    folder = logged([f"{NASTY}/kernel", "two/kernel"])
    run = read(folder)
    for name in ("method", "model", "dataset"):
        run.summary[name] = f"{NASTY}\ud800\x00"
    run.summary["settings"] = {NASTY: NASTY, "dataset": NASTY}
    reader, text = parsed([run])
    assert tuple(reader.headings) == TITLES
    assert "alert(1)" in text and "\u202e" not in text


def test_several_runs(logged):
    runs = [read(logged([f"{n}/kernel"])) for n in range(3)]
    reader, text = parsed(runs)
    assert reader.headings[0] == "Accuracy and cost"
    assert reader.tags.count("details") == 6  # With their settings.
    for over in ("active parameters", "active multiply-adds", "bytes"):
        assert f"Accuracy over {over}" in text


def test_runs_of_a_method_are_told_apart_where_they_are_few(logged):
    run = read(logged(["one/kernel"]))
    few, many = (
        several.of(
            [
                Run(f"{method}{n}", {**run.summary, "method": method})
                for n in range(number)
                for method in ("dsr", "set")
            ]
        )
        for number in (5, 6)
    )
    assert few.count('class="key"') == 3 * 10
    assert many.count('class="key"') == 3 * 2


def test_a_narrowed_run_is_compared_with_the_dense_network(logged):
    run = read(logged(["one/kernel"]))
    run.summary.update(
        num_reallocations=0,
        kernels=[],
        num_active_parameters=90,
        num_active_macs=80,
        narrowed={
            "dense_num_parameters": 900,
            "dense_num_macs": 800,
            "units": {"fc1": [3, 10]},
        },
    )
    reader, text = parsed([Run("x", run.summary)])
    assert reader.headings == ["Channels that are left", "Cost"]
    assert text.count("Channels that are left") == 1
    assert "10.0\u00a0% of 900<" in text
    assert "10.0\u00a0% of 800, an example" in text


def test_logarithmic_axes_say_so(logged):
    _, text = parsed([read(logged(["one/kernel"]))])
    for unit in ("with penalties", "share of its weights"):
        assert f"{unit}, logarithmic" in text
    assert "share of images, logarithmic" not in text


def test_what_is_not_there_is_left_out(logged):
    folder = logged(["one/kernel"])
    for name in ("metrics.csv", "ages.csv", "masks.json"):
        (folder / name).unlink()
    reader, _ = parsed([read(folder)])
    assert reader.headings == [*TITLES[1:4], TITLES[-1]]
    run = read(folder)
    run.summary.update(num_reallocations=0, kernels=[])
    reader, _ = parsed([Run("x", run.summary)])
    assert reader.headings == ["Cost"]


@pytest.mark.parametrize(
    "name, content",
    [
        ("metrics.csv", b"epoch,loss\n0,high\n"),
        ("metrics.csv", b"\xff\xfe"),
        ("metrics.csv", None),
        ("ages.csv", b"step\n5\n"),
        ("ages.csv", b"step,grown:one/kernel\n"),
        ("reallocations.csv", b"step\n5\n"),
        ("masks.json", b"{"),
    ],
)
def test_damage_is_one_sentence(name, content, logged):
    folder = logged(["one/kernel"])
    (folder / name).unlink()
    if content is None:
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} cannot be read") as error:
        read(folder)
    assert "\n" not in str(error.value)


def test_numbers_that_are_none(logged):
    folder = logged(["one/kernel"])
    (folder / "metrics.csv").write_text(
        "epoch,loss,test_accuracy\n0,nan,0.5\n1,inf,\n"
    )
    _, text = parsed([read(folder)])
    assert "nan" not in text and "inf" not in text.replace("inform", "")


def test_a_long_run_of_many_kernels(logged):
    """Below 3 MB, drawn in less than 10 s: so many cells are all it has."""
    paths = [f"block{n}/conv/kernel" for n in range(24)]
    folder = logged(paths, num_epochs=200, num_reallocations=300)
    start = time.perf_counter()
    text = page([read(folder)])
    assert time.perf_counter() - start < 5
    assert len(text.encode()) < 1_000_000
