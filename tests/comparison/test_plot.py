"""Pictures of comparisons: what is written in them can be read."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dsr_tf.comparison import plot
from dsr_tf.comparison.aggregate import Row


@pytest.mark.parametrize(
    "places, expected",
    [
        ([], []),
        ([0.5, 0.1], [0.5, 0.1]),
        ([0.5, 0.5, 0.52], [0.5, 0.6, 0.7]),
        # Without room above, those below make way.
        ([0.88, 0.89, 0.2, 0.9], [0.7, 0.8, 0.2, 0.9]),
    ],
)
def test_places_keep_apart(places, expected):
    assert plot._apart_upwards(places, 0.1, 0.9) == pytest.approx(expected)


def test_counts_that_are_labelled_keep_apart():
    assert plot._apart([3482, 3482, 3572, 6144]) == [3482, 6144]
    # On an axis over two orders of magnitude they are nearer to each other.
    assert plot._apart([2662, 3150, 266_200]) == [2662, 266_200]
    assert plot._apart([]) == []
    assert plot._apart([0, 0, 10]) == [0, 10]


def test_no_method_is_as_grey_as_the_dense_network():
    looks = [
        (plot._COLORS[i % len(plot._COLORS)], plot._MARKERS[i % 11])
        for i in range(30)
    ]
    assert len(set(looks)) == 30 and "C7" not in plot._COLORS
    assert len(plot._MARKERS) == 11


def test_names_of_equal_networks_do_not_cover_each_other(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, dpi: drawn.append(self)
    )
    rows = [
        Row(name, None, 1, 0.975, None, 0.0, 9, 9, None, 1.0, None)
        for name in "abcdefgh"
    ]
    plot.write_plot(rows, tmp_path / "x", "x")
    (figure,) = drawn
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 8
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    frame = figure.axes[0].get_window_extent()
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


@pytest.mark.parametrize(
    "lowest, highest, expected",
    [
        (96, 99, [96, 97, 98, 99]),
        (86, 94.05, [86, 87, 88, 89, 90, 91, 92, 93, 94]),
        (61, 94.05, [65, 70, 75, 80, 85, 90]),
        (79, 94.05, [80, 82, 84, 86, 88, 90, 92, 94]),
        (0, 94, [10, 30, 40, 50, 60, 70, 80, 90]),
        (95.5, 99.9, [97, 98, 99, 99.5, 99.8]),
    ],
)
def test_ticks_leave_room_for_their_numbers(lowest, highest, expected):
    assert list(plot._ticks(lowest, highest)) == expected
