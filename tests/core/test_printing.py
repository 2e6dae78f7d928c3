"""Tables as text, wherever they are printed."""

import pytest
import rich.console
import rich.table

from dsr_tf.core import printing


@pytest.mark.parametrize("place", ["terminal", "notebook"])
def test_a_table_is_plain_text_everywhere(place, monkeypatch, capsys):
    if place == "terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")
    else:
        monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    table = rich.table.Table("kernel", title="Sparsity")
    table.add_row("fc1")
    text = printing.printed(table)
    assert "Sparsity" in text and "fc1" in text
    assert "\x1b" not in text
    assert capsys.readouterr().out == ""
