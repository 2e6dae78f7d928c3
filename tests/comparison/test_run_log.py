"""What runs of a comparison have warned of."""

from types import SimpleNamespace

from dsr_tf.comparison import run_log


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
