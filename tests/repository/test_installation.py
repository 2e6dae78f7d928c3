"""What is installed is what is tested, and all that there is."""

import configparser
import importlib
import importlib.metadata
import json
import pathlib

import dsr_tf

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = pathlib.Path(dsr_tf.__file__).parent


def test_the_tests_import_the_package_that_is_installed():
    distribution = importlib.metadata.distribution("dsr_tf")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        assert PACKAGE == ROOT / "dsr_tf"
    else:
        assert PACKAGE == pathlib.Path(distribution.locate_file("dsr_tf"))


def test_all_files_are_installed():
    for path in [*ROOT.glob("dsr_tf/**/*.py"), ROOT / "dsr_tf" / "py.typed"]:
        assert (PACKAGE.parent / path.relative_to(ROOT)).is_file(), path


def test_each_command_has_a_script():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    scripts = dict(line.split(" = ") for line in lines if line)
    commands = {
        path.stem
        for path in ROOT.glob("dsr_tf/commands/*.py")
        if "def main(" in path.read_text()
    }
    assert set(scripts) == {f"dsr-{name}" for name in commands}
    for script, target in scripts.items():
        module, function = target.split(":")
        assert module == f"dsr_tf.commands.{script.removeprefix('dsr-')}"
        assert callable(getattr(importlib.import_module(module), function))
