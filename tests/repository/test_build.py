"""BUILD and MODULE.bazel name what there is, read as the Python they are."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LOCK = ROOT / "requirements_lock.txt"


def _glob(patterns, exclude=()):
    found = {
        path.relative_to(ROOT).as_posix()
        for pattern in patterns
        for path in ROOT.glob(pattern)
    }
    return sorted(found - set(exclude))


@pytest.fixture(scope="module")
def build():
    """Targets by name, and the packages that they ask for."""
    targets, packages = {}, set()

    def target(name, **attributes):
        attributes["srcs"] = list(attributes["srcs"])
        targets[name] = attributes

    # Starlark joins lists with what a dictionary's values() gives.
    source = (ROOT / "BUILD").read_text()
    source = source.replace("COMMANDS.values()", "list(COMMANDS.values())")
    names = dict.fromkeys(
        ("py_library", "py_binary", "py_test", "filegroup"), target
    )
    ignored = dict.fromkeys(
        ("load", "package", "licenses", "exports_files"), lambda *a, **k: None
    )

    def requirement(name):
        packages.add(name)
        return f"@pip//{name}"

    exec(
        compile(source, "BUILD", "exec"),
        {**names, **ignored, "glob": _glob, "requirement": requirement},
    )
    return targets, packages


def test_targets_name_files_that_exist(build):
    targets, _ = build
    for name, attributes in targets.items():
        for key in ("srcs", "data", "deps"):
            for label in attributes.get(key, []):
                if label.startswith(":"):
                    assert label[1:] in targets, (name, label)
                elif not label.startswith("@"):
                    assert (ROOT / label).is_file(), (name, label)
        assert attributes.get("main", "") in ["", *attributes["srcs"]]


def test_each_file_has_a_target(build):
    targets, _ = build
    library = targets["dsr_tf"]["srcs"]
    starts = [
        attributes["srcs"]
        for name, attributes in targets.items()
        if (ROOT / "dsr_tf" / "commands" / f"{name}.py").is_file()
    ]
    of_package = [*library, *(one for [one] in starts)]
    assert sorted(of_package) == _glob(["dsr_tf/**/*.py"])
    assert set(_glob(["tests/**/*.py"])) <= set(targets["tests"]["srcs"])
    assert targets["flags"]["srcs"] == _glob(["flags/**/*.flags"])


def test_packages_are_locked(build):
    _, packages = build
    text = LOCK.read_text()
    locked = set(re.findall(r"^([\w.-]+)==", text, re.M))
    assert packages <= locked
    # Each has a version and digests, and no place that it comes from.
    assert text.count("--hash=sha256:") >= len(locked)
    assert "://" not in text
    setup = (ROOT / "setup.cfg").read_text()
    lines = setup.partition("install_requires =")[2].partition("\n\n")[0]
    wanted = re.findall(r"^    ([\w-]+)", lines, re.M)
    assert {name.replace("_", "-") for name in wanted} <= locked


def test_the_module_names_the_lock_file():
    text = (ROOT / "MODULE.bazel").read_text()
    assert 'requirements_lock = "//:requirements_lock.txt"' in text
    version = re.search(r'VERSION = "(.*)"', _read("dsr_tf/core/version.py"))
    assert f'version = "{version[1]}"' in text


def _read(name):
    return (ROOT / name).read_text()


def test_the_versions_of_tools_are_the_same_everywhere():
    [pinned] = set(re.findall(r"ruff==([\d.]+)", _read("setup.cfg")))
    hooks = re.findall(r"ruff==([\d.]+)", _read(".pre-commit-config.yaml"))
    assert hooks == [pinned] * len(hooks) and hooks
    assert re.search(r"mypy==[\d.]+", _read("setup.cfg"))
