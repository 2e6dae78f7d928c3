"""Flagfiles of the package are found by name, wherever one works."""

import pytest
from absl import flags

from dsr_tf import command_line
from dsr_tf.command_line import flagfiles
from dsr_tf.comparison.plan import plan
from dsr_tf.training import experiment as experiments

QUICKSTART = "--flagfile=flags/quickstart.flags"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def parsed(*arguments):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse_flags(flag_values, "t", arguments)
    return flag_values


def test_a_file_of_the_package():
    assert parsed(QUICKSTART)["dataset"].value == "digits"


def test_one_that_names_another_beside_it():
    values = parsed("--flagfile=flags/lenet_mnist/set.flags")
    assert values["method"].value == "set"
    # Of base.flags.
    assert values["l1"].value == 1e-4


def test_a_local_file_goes_first(tmp_path):
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "quickstart.flags").write_text("--epochs=7\n")
    assert flagfiles.expand([QUICKSTART]) == ["--epochs=7"]


def test_a_local_file_may_name_one_of_the_package(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.flags").write_text(f"{QUICKSTART}\n--epochs=7\n")
    expanded = flagfiles.expand(["--flagfile=mine/a.flags"])
    assert expanded == [*flagfiles.expand([QUICKSTART]), "--epochs=7"]


def test_a_local_folder_may_stand_beside_the_package_s(tmp_path):
    folder = tmp_path / "flags" / "lenet_mnist"
    folder.mkdir(parents=True)
    (folder / "mine.flags").write_text("--flagfile=base.flags\n--epochs=7\n")
    expanded = flagfiles.expand(["--flagfile=flags/lenet_mnist/mine.flags"])
    assert "--l1=0.0001" in expanded and expanded[-1] == "--epochs=7"


@pytest.mark.parametrize(
    "name",
    [
        "quickstart.flags",
        "flags",
        "flags/none.flags",
        "flags/../setup.py",
        "flags/lenet_mnist",
        "other/flags/quickstart.flags",
    ],
)
def test_no_other_file_is_found(name):
    with pytest.raises(command_line.UsageError) as error:
        flagfiles.expand([f"--flagfile={name}"])
    assert f"--flagfile={name}: cannot be read (No such" in str(error.value)


def test_a_file_of_a_like_name_is_asked_for(tmp_path):
    # The package's, and one beside it.
    (tmp_path / "mine.flags").write_text("--epochs=1")
    for given, meant in (
        ("flags/lenet_mnist/dsrr.flags", "flags/lenet_mnist/dsr.flags"),
        (f"{tmp_path}/mien.flags", f"{tmp_path}/mine.flags"),
    ):
        with pytest.raises(command_line.UsageError) as error:
            flagfiles.expand([f"--flagfile={given}"])
        assert str(error.value).endswith(f"; did you mean {meant}?")


def test_a_comparison_takes_them():
    names = [f"flags/lenet_mnist/{name}.flags" for name in ("dense", "dsr")]
    runs = plan(names, [1], [0.1], "new", ["--dataset=digits"])
    assert [run.method for run in runs] == ["dense", "dsr"]
