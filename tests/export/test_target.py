"""Where exports may go, and what is there when they go wrong."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.command_line import UsageError
from dsr_tf.export import registry
from dsr_tf.export import target


def small():
    return keras.Sequential(
        [keras.Input((3,)), layers.SparseDense(2, 0.5, seed=0)]
    )


UNLOADABLE = ["run[dsr]", "a*", "a?", "a\\b", "in[side]/m", "a\udcff", "a\0b"]


@pytest.mark.parametrize("name", UNLOADABLE, ids=ascii)
@pytest.mark.parametrize("write", ["saved_model", "dense_saved_model"])
def test_paths_that_tensorflow_cannot_load_from(write, name, tmp_path):
    path = os.path.join(tmp_path, name)
    with pytest.raises(ValueError, match="local folder from which.*Received"):
        getattr(dsr_tf.export, write)(small(), path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a b", "é", "a]", "a{b}", "a:b", "a%41", "~"])
def test_paths_that_tensorflow_can_load_from(name, tmp_path):
    target.check_loadable(tmp_path / name)


def test_paths_that_are_addresses():
    with pytest.raises(ValueError, match="other file systems to it"):
        target.check_loadable("gs://bucket/model")


def write(format, path):
    getattr(dsr_tf.export, format)(small(), path)


FORMATS = {
    "saved_model": "m",
    "dense_saved_model": "m",
    "litert": "m.tflite",
    "onnx": "m.onnx",
}
formats = pytest.mark.parametrize(
    "format, name",
    [
        # ONNX is written to a file as well, and sooner.
        pytest.param(*item, marks=[pytest.mark.slow] * (item[0] == "litert"))
        for item in FORMATS.items()
    ],
)


@formats
def test_the_umask_is_kept_and_never_changed(
    format, name, tmp_path, monkeypatch
):
    before = os.umask(0o027)
    with monkeypatch.context() as context:
        context.setattr(os, "umask", None)
        write(format, tmp_path / name)
    assert os.umask(before) == 0o027
    mode = (tmp_path / name).stat().st_mode & 0o777
    assert mode == (0o750 if name == "m" else 0o640)


@formats
def test_what_comes_meanwhile_is_not_overwritten(
    format, name, tmp_path, monkeypatch
):
    """Between the check and the end of the export."""
    path = tmp_path / name
    written = target.written_whole

    @contextlib.contextmanager
    def slow(*arguments):
        with written(*arguments) as scratch:
            yield scratch
            if name == "m":
                path.mkdir()
                (path / "file").write_text("mine")
            else:
                path.write_text("mine")

    monkeypatch.setattr(target, "written_whole", slow)
    with pytest.raises(OSError):
        write(format, path)
    assert os.listdir(tmp_path) == [name]
    kept = path / "file" if name == "m" else path
    assert kept.read_text() == "mine"


KILLED = """
import os
import sys
from dsr_tf.export import target
one, other = (target.written_whole(path) for path in sys.argv[1:])
with one as first, other as second:
    open(os.path.join(first, "half"), "w").close()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path):
    path, other = tmp_path / "m", tmp_path / "other"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path, other],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    (tmp_path / ".export-mine").mkdir()
    assert process.stdout.readline() == b"ready\n"
    assert len(os.listdir(tmp_path)) == 3
    # What is being written by a process that lives is let alone.
    write("saved_model", path)
    assert len(os.listdir(tmp_path)) == 4
    process.kill()
    process.communicate()
    shutil.rmtree(path)
    write("saved_model", path)
    left = sorted(os.listdir(tmp_path))
    assert len(left) == 3 and left[-1] == "m"
    write("saved_model", other)
    assert sorted(os.listdir(tmp_path)) == [".export-mine", "m", "other"]


@contextlib.contextmanager
def full_disk(num_bytes):
    """Files of more than so many bytes cannot be written."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@formats
def test_a_full_disk_is_an_oserror_and_leaves_nothing(format, name, tmp_path):
    with full_disk(100), pytest.raises(OSError):
        write(format, tmp_path / "new" / "folder" / name)
    assert os.listdir(tmp_path) == []


@formats
@pytest.mark.parametrize(
    "path, message",
    [
        ("file/{}", "file is no folder"),
        ("file/deeper/{}", "file is no folder"),
        ("long/" + 250 * "x" + "{}", "names have at most 255 bytes"),
    ],
)
def test_places_where_nothing_can_be_written(
    path, message, format, name, tmp_path
):
    (tmp_path / "file").write_text("mine")
    path = tmp_path / path.format(f"y{name}" + 5 * "z" * (name == "m"))
    with pytest.raises(ValueError, match=f"{message}. Received: path="):
        write(format, path)
    assert os.listdir(tmp_path) == ["file"]


@formats
def test_unwritable_folders_are_told_before(
    format, name, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match="cannot be written. Received"):
        write(format, tmp_path / name)


def test_an_empty_folder_through_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write("saved_model", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "saved_model.pb").is_file()


@formats
def test_digests_are_those_of_sha256sum(format, name, tmp_path):
    path = tmp_path / (name.replace("m", "a b\\c", 1) if "." in name else name)
    write(format, path)
    folder = path if path.is_dir() else tmp_path
    digests = "assets.extra/sha256sums" if path.is_dir() else f"{path}.sha256"
    subprocess.run(["sha256sum", "-c", digests], cwd=folder, check=True)
    if path.is_dir():
        lines = (path / digests).read_text().splitlines()
        assert sorted(line[66:] for line in lines) == [
            "saved_model.pb",
            "variables/variables.data-00000-of-00001",
            "variables/variables.index",
        ]
        return
    registry.load("model", str(path))
    with pytest.raises(ValueError, match="does not exist"):
        write(format, path)
    path.unlink()
    with pytest.raises(ValueError, match="without a digest yet"):
        write(format, path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for format, name in FORMATS.items():
        if format != "dense_saved_model":
            write(format, folder / name)
    return folder


FILES = [
    "m/saved_model.pb",
    "m/variables/variables.index",
    "m/variables/variables.data-00000-of-00001",
    "m/assets.extra/sha256sums",
    "m.tflite",
    "m.tflite.sha256",
    "m.onnx",
    "m.onnx.sha256",
]


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_is_told(file, exported):
    path = exported / file
    whole = path.read_bytes()
    model = str(exported / file.split("/")[0].removesuffix(".sha256"))
    registry.load("model", model)
    generator = np.random.default_rng(0)
    places = generator.choice(8 * len(whole), 100, replace=False)
    try:
        for place in places:
            damaged = bytearray(whole)
            damaged[place // 8] ^= 1 << place % 8
            path.write_bytes(damaged)
            with pytest.raises(UsageError, match=r"cannot be loaded \(") as e:
                registry.load("model", model)
            assert "\n" not in str(e.value)
    finally:
        path.write_bytes(whole)


def test_models_without_digests_load(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "all")
    for path in (tmp_path / "all").rglob("*sha256*"):
        path.unlink()
    for name in ("m", "m.tflite", "m.onnx"):
        registry.load("model", str(tmp_path / "all" / name))


def test_digests_of_files_elsewhere_are_refused(exported, tmp_path):
    shutil.copytree(exported / "m", tmp_path / "m")
    for name in ("/dev/zero", "../m/saved_model.pb"):
        path = tmp_path / "m/assets.extra/sha256sums"
        path.write_text(path.read_text() + f"{64 * '0'}  {name}\n")
        with pytest.raises(UsageError, match="outside of it"):
            registry.load("model", str(tmp_path / "m"))
