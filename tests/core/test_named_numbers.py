"""Tables of names and numbers, in whatever room there is for them."""

import collections
import io

import pytest
from rich.console import Console

from dsr_tf.core.named_numbers import NamedNumbers

# As of a ResNet-50.
LINES = [
    ("group1_block1_conv1/kernel", "1x1x64x64", "4,096", "410", "1.0 M"),
    ("group4_block3_conv1/kernel", "1x1x2048x512", "1,048,576", "104,858", "–"),
    ("all parameters", "", "23,917,832", "4,940,245", "334.1 M"),
]
COLUMNS = ("shape", "weights", "active", "active\nMACs")


def printed(width, caption=""):
    table = NamedNumbers(
        "Sparsity[of] it", "kernel", COLUMNS, caption, num_folded=1
    )
    for line in LINES:
        table.add_line(*line)
    console = Console(width=width, file=io.StringIO(), legacy_windows=False)
    # What has been printed narrow is whole in a wide terminal.
    with console.capture():
        console.print(table, width=30)
    console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_names_are_folded_between_their_parts():
    assert printed(60, "Left dense: fc.") == [
        "                      Sparsity[of] it",
        "                                                      active",
        "kernel                 shape     weights     active     MACs",
        "─" * 60,
        "group1_block1_     1x1x64x64       4,096        410    1.0 M",
        "conv1/kernel",
        "group4_block3_  1x1x2048x512   1,048,576    104,858        –",
        "conv1/kernel",
        "all parameters                23,917,832  4,940,245  334.1 M",
        "",
        "Left dense: fc.",
    ]


@pytest.mark.parametrize("width", range(30, 100))
def test_nothing_is_cut(width):
    lines = printed(width)
    assert max(map(len, lines)) <= width
    given = [*LINES, COLUMNS, ("Sparsity[of] it", "kernel")]
    letters = collections.Counter("".join("".join(line) for line in given))
    found = collections.Counter("".join(lines))
    for letter in letters:
        if not letter.isspace():
            assert found[letter] == letters[letter], letter
