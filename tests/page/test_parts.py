"""The small functions of a page, by hand and by their properties."""

import io
import math

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from dsr_tf.page import heat
from dsr_tf.page import logs
from dsr_tf.page import numbers
from dsr_tf.page import png
from dsr_tf.page.ages import class_name
from dsr_tf.page.chart import Axis
from dsr_tf.page.chart import Frame
from dsr_tf.page.chart import curve
from dsr_tf.page.markup import element
from dsr_tf.page.markup import short_name
from dsr_tf.page.markup import text
from dsr_tf.page.moves import Moves
from dsr_tf.page.moves import ribbons
from dsr_tf.page.scale import Scale
from dsr_tf.page.sections.several import names


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=20))
def test_no_text_is_markup(said):
    page = element("p", said, title=said)
    assert page.count("<") == page.count(">") == 2
    assert page.count('"') == 2
    page.encode()  # As a file is written; half of a pair of code units.
    assert not any(ord(letter) < 32 for letter in page)


def test_markup_is_not_escaped_twice():
    inner = element("b", "a<b")
    assert element("p", inner, class_="x", id=None) == (
        '<p class="x"><b>a&lt;b</b></p>'
    )
    assert text(text("&")) == "&amp;"
    assert element("img", src="x") == '<img src="x">'


def test_names_of_kernels():
    assert short_name("block/conv/kernel") == "block/conv"
    assert short_name("kernel") == "kernel"
    assert short_name("abcdefgh", 4) == "…fgh"


@pytest.mark.parametrize(
    "share, said",
    [(0, "0"), (1, "100"), (0.1, "10.0"), (0.0123, "1.2"), (0.00123, "0.12"),
     (-0.053, "-5.3"), (1.414, "141"), (1e-9, "0.0000"), (123.0, "12,300")],
)  # fmt: skip
def test_percent(share, said):
    assert numbers.percent(share) == f"{said}\u00a0%"


def test_other_numbers():
    assert numbers.size(1234567) == "1.2 MB"
    assert numbers.size(12) == "12 bytes"
    assert numbers.short(4.09e9) == "4.09G"
    assert numbers.short(12) == "12"
    assert numbers.signed(-1234) == "−1,234"
    assert numbers.round_percent(0.2) == "20\u00a0%"


values = st.floats(1e-12, 1e12)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=5), st.booleans())
def test_scales_hold_their_values_in_order(shown, is_log):
    scale = Scale.over(shown, is_log)
    assert scale.low < scale.high
    assert scale.low <= min(shown) * 1.0001
    assert scale.high >= max(shown) * 0.9999
    places = [scale.place(value) for value in sorted(shown)]
    assert places == sorted(places) and 0 <= places[0] <= places[-1] <= 1
    ticks = scale.ticks()
    assert ticks == sorted(set(ticks)) and 1 <= len(ticks) <= 40
    assert all(-1e-6 <= scale.place(tick) <= 1.000001 for tick in ticks)


def test_scales_by_hand():
    assert Scale.over([0.3, 9.2]) == Scale(0, 10)
    assert Scale(0, 10).ticks() == [0, 2, 4, 6, 8, 10]
    assert Scale(1e-3, 1, True).place(math.sqrt(1e-3)) == pytest.approx(0.5)
    np.testing.assert_allclose(
        Scale(1e-3, 1, True).ticks(), [1e-3, 1e-2, 1e-1, 1]
    )
    assert Scale(0.07, 0.16, True).ticks() == [0.1, 0.15]
    assert Scale.over([5.0, 5.0]) == Scale(2, 8)
    assert Scale.over([0.0, 0.0], low=0.0) == Scale(0, 1)
    assert Scale.over([1.0], high=1.0) == Scale(0.4, 1)
    assert Scale.over([], is_log=True).high > 1


def test_axes_of_whole_numbers():
    assert Axis("x", is_whole=True).ticks(Scale(1, 3)) == [1, 2, 3]
    assert Axis("x").ticks(Scale(1, 3)) == [1, 1.5, 2, 2.5, 3]


def test_a_line_has_gaps_and_lonely_points():
    frame = Frame(Scale(0, 4), Scale(0, 1), 100, 100, 0, 0, 0, 0)
    ys = [0.0, 0.5, math.nan, 1.0, math.nan]
    drawn = curve(frame, list(enumerate(ys)))
    assert drawn == '<path d="M0 100L25 50M75 0h0"></path>'
    many = [(x / 250, 0.5) for x in range(1000)]
    assert curve(frame, many).count("L") < 400
    assert "99.9 50" in curve(frame, many)


def test_pixels_are_a_picture():
    pixels = np.array([[0, 255, 128], [255, 0, 3]], "uint8")
    uri = png.data_uri(pixels, (10, 20, 30))
    import base64

    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    image = matplotlib.image.imread(io.BytesIO(data), format="png")
    assert image.shape == (2, 3, 4)
    np.testing.assert_allclose(image[..., :3] * 255, [[[10, 20, 30]] * 3] * 2)
    # Some of what is seen, however little.
    np.testing.assert_allclose(
        image[..., 3] * 15, [[0, 15, 8], [15, 0, 1]], atol=1e-5
    )


def test_cells_of_a_heat_map():
    assert heat.cells(3).tolist() == [0, 1, 2]
    counts = np.arange(1000).reshape(-1, 1)
    sums, lasts = heat.sums(counts), heat.lasts(counts)
    assert sums.sum() == counts.sum() and len(sums) == len(lasts) <= 150
    assert lasts[-1] == 999 and lasts[0] == 6
    # Two of one shade are one; 0 is empty.
    drawn = heat._cells(np.array([1.0, 1.0, 0.0, -0.5]), "cells")
    assert drawn.count("<path") == 2
    assert 'd="M0 0h2v1h-2z" class="up" fill-opacity="1.00"' in drawn
    assert 'd="M3 0h1v1h-1z" class="down" fill-opacity="0.50"' in drawn


TABLE = """step,threshold,pruned:a,pruned:b,grown:a,grown:b,active:a,active:b
5,0.5,4,1,1,4,7,13
9,,2,2,2,2,7,13
"""


def test_flows_by_hand(tmp_path):
    path = tmp_path / "moves.csv"
    path.write_text(TABLE)
    kernels = {"a": (20, 7), "b": (26, 13), "frozen": (9, 3)}
    moves = Moves.read(path, kernels)
    assert moves.net.tolist() == [[-3, 3, 0], [0, 0, 0]]
    assert moves.at_start.tolist() == [10, 10, 3]
    assert moves.between_kernels.tolist() == [3, 0]
    np.testing.assert_allclose(moves.densities[1], [0.35, 0.5, 1 / 3])
    assert moves.thresholds[0] == 0.5 and math.isnan(moves.thresholds[1])


def test_ribbons_by_hand():
    # 6 and 2 are lost, 4 and 4 gained: each from both in proportion.
    assert ribbons(np.array([-6, 4, -2, 4])) == [
        (0, 1, 3.0),
        (0, 3, 3.0),
        (2, 1, 1.0),
        (2, 3, 1.0),
    ]
    assert ribbons(np.array([0, -3])) == []


@settings(deadline=None)
@given(st.lists(st.integers(-99, 99), min_size=2, max_size=9))
def test_ribbons_carry_what_went(change):
    change[-1] -= sum(change)
    sent, got = np.zeros(len(change)), np.zeros(len(change))
    for i, j, weights in ribbons(np.array(change)):
        sent[i] += weights
        got[j] += weights
    np.testing.assert_allclose(got - sent, change, atol=1e-9)


@pytest.mark.parametrize(
    "content, reason",
    [
        ("", "damaged|not enough values"),
        ("step\n1,2\n", "row 1 has 2 columns"),
        ("step\n-1\n", "in row 1, step is '-1'"),
        ("step\n1e3\n", "in row 1, step is '1e3'"),
        (f"step\n{'9' * 30}\n", "in row 1"),
        ("other\n1\n", "has no column step"),
        ('step\n"1\n', "damaged"),
        (f"step\n{'1' * 200_000}\n", "damaged"),
    ],
)
def test_damaged_tables(content, reason, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=reason):
        logs.read(path).wholes("step")


def test_a_table_that_is_too_large(tmp_path):
    path = tmp_path / "table.csv"
    with open(path, "wb") as file:
        file.truncate(2**29)
    with pytest.raises(ValueError, match="larger than"):
        logs.read(path)


def test_names():
    assert [class_name(i) for i in (0, 1, 2, 3, 10)] == [
        "just grown", "1", "2 to 3", "4 to 7", "512 or more",
    ]  # fmt: skip

    class At:
        def __init__(self, folder):
            self.folder = folder

    assert names([At("a/x"), At("a/y/")]) == ["x", "y"]
    assert names([At("a/x"), At("b/x")]) == ["a/x", "b/x"]
