"""Checkpoints that are damaged, hostile or of another model."""

import json
import os
import random
import shutil
import tracemalloc
import zlib

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import optimizers
from dsr_tf.command_line import UsageError
from dsr_tf.core import sparse_arrays
from dsr_tf.training import checkpoint

TABLES = {"metrics.csv": "epoch,x\n0,0.5\n", "reallocations.csv": ""}


def make_model(units=8, sparsity=0.9):
    layers = [keras.Input((8,)), keras.layers.Dense(units, name="a")]
    model = keras.Sequential(layers, name="net")
    model = dsr_tf.sparsify(model, sparsity, seed=1)
    model.compile(optimizers.SGD(0.1))
    return model


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A small checkpoint of 6 variables, packed ones among them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    checkpoint.save(folder, make_model(), 7, {"a": 1}, tables=TABLES)
    return folder / "step-7.npz"


def content(read):
    """All that a checkpoint restores, to the bit."""
    return (
        read.step,
        read.settings,
        read.names,
        read.tables,
        [(v.dtype, v.shape, v.tobytes()) for v in read.values],
    )


def told_or_right(path, expected):
    """Whether damage is told; else the file is as good as it was."""
    try:
        read = checkpoint.read(path)
    except checkpoint.Damaged as error:
        assert str(error).startswith(f"the checkpoint {path} is damaged (")
        assert "\n" not in str(error)
        return True
    assert content(read) == expected
    return False


def flips(data, positions, path):
    """How many flipped bits at these places are told as damage."""
    path.write_bytes(data)
    expected = content(checkpoint.read(path))
    told = 0
    for position in positions:
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            path.write_bytes(changed)
            told += told_or_right(path, expected)
    return told


def test_any_flipped_bit_is_told_or_changes_nothing(file, tmp_path):
    """Every bit of the zip directory, and of bytes everywhere else."""
    data = file.read_bytes()
    start = data.index(b"PK\1\2")
    directory = range(start, len(data))
    others = random.Random(0).sample(range(start), 100)
    told = flips(data, directory, tmp_path / "step-7.npz")
    assert 0.4 < told / (8 * len(directory)) < 1
    told = flips(data, others, tmp_path / "step-7.npz")
    assert told / (8 * len(others)) > 0.8


def old_checkpoint(path, read):
    """Write a checkpoint as it was before digests, and before names of what
    callbacks keep."""
    values, state = {}, iter(read.state)
    for name, value in zip(read.names, read.values):
        values[name] = value
        if name.endswith("/mask"):
            parent = name.removesuffix("mask")
            values[f"{parent}reallocation_state"] = old_state(next(state))
    header = {
        "step": read.step,
        "settings": read.settings,
        "names": list(values),
        "shapes": [value.shape for value in values.values()],
    }
    stored = {}
    for number, value in enumerate(values.values()):
        sparse_arrays.put(stored, f"{number:05d}", value)
    with open(path, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **stored)


def old_state(numbers):
    """The eight integers of a layer from its numbers by name."""
    seed, count, last, carry = numbers.get("reallocation", [0] * 4)
    _, exponent, *_ = numbers.get("method_state", [0] * 4)
    window = numbers.get("gradient_window", [0] * 2)
    (own,) = numbers.get("num_moved", [0])
    if "pruning_threshold" in numbers:
        (threshold,) = numbers["pruning_threshold"]
        own = -1 - int(np.float32(threshold).view("int32"))
    return np.array([count, last, exponent, carry, *window, seed, own])


def test_a_damaged_state_without_a_digest_changes_nothing(file, tmp_path):
    read = checkpoint.read(file)
    old_checkpoint(tmp_path / "step-7.npz", read)
    old = checkpoint.read(tmp_path / "step-7.npz")
    (state,) = [n for n in old.names if n.endswith("reallocation_state")]
    old.values[old.names.index(state)][:] = -1
    model = make_model(sparsity=0.5)
    before = [np.array(variable) for variable in model.variables]
    with pytest.raises(checkpoint.Damaged, match="The state of layer 'a' is"):
        checkpoint.restore(old, model)
    for variable, value in zip(model.variables, before):
        np.testing.assert_array_equal(variable, value)


def test_checkpoints_without_a_digest_load(file, tmp_path):
    read = checkpoint.read(file)
    old_checkpoint(tmp_path / "step-7.npz", read)
    old = checkpoint.read(tmp_path / "step-7.npz")
    assert old.tables is None
    assert content(old)[:2] == content(read)[:2]
    restored = []
    for found in (old, read):
        model = make_model(sparsity=0.5)
        checkpoint.restore(found, model)
        variables = [*model.variables, *model.optimizer.variables]
        restored.append([np.array(variable) for variable in variables])
    for ours, theirs in zip(*restored, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


def test_a_lost_name_in_an_old_checkpoint_is_told(file, tmp_path):
    """The name of `NNNNN.values` is hit: weights are not 1.0."""
    path = tmp_path / "step-7.npz"
    old_checkpoint(path, checkpoint.read(file))
    data = path.read_bytes()
    assert b".values.npy" in data
    for name in (b".valuet.npy", b".gapsss.npy", b"/values.npy"):
        path.write_bytes(data.replace(b".values.npy", name))
        with pytest.raises(checkpoint.Damaged):
            checkpoint.read(path)


@pytest.mark.parametrize("length", [0, 1, 100, -1, -30])
def test_a_file_that_was_cut_is_told(file, tmp_path, length):
    path = tmp_path / "step-7.npz"
    path.write_bytes(file.read_bytes()[:length])
    with pytest.raises(checkpoint.Damaged, match="is damaged"):
        checkpoint.read(path)


def save_with(path, read, **changed):
    """Write a checkpoint with another header, and a right digest."""
    header = json.loads(read.stored["header"].tobytes())
    header = json.dumps({**header, **changed.pop("header", {})})
    stored = {**read.stored, **changed}
    stored["header"] = np.frombuffer(header.encode(), "uint8")
    with open(path, "wb") as file:
        digest = checkpoint.archive.digest(stored)
        np.savez(file, digest=digest, **stored)


@pytest.mark.parametrize(
    "header",
    [
        {"step": -1},
        {"step": "7"},
        {"batches": 6},
        {"batches": "7"},
        {"names": []},
        {"names": None},
        {"shapes": [[1]]},
        {"shapes": [[-1]] * 6},
        {"shapes": [["a"]] * 6},
        {"settings": []},
        {"tables": {"metrics.csv": 3}},
        {"tables": []},
        {"format": "2"},
        {"format": None},
        {"state": None},
        {"state": [3]},
    ],
    ids=str,
)
def test_a_malformed_header_is_damage(header, file, tmp_path):
    path = tmp_path / "step-7.npz"
    save_with(path, checkpoint.read(file), header=header)
    with pytest.raises(checkpoint.Damaged):
        checkpoint.read(path)


@pytest.mark.parametrize(
    "state",
    [
        [],
        [{}, {}],
        [{"reallocation": [1, 2]}],
        [{"reallocation": [-1, 0, 0, 0]}],
        [{"something": [1]}],
    ],
    ids=str,
)
def test_a_damaged_state_changes_nothing(state, file, tmp_path):
    path, model = tmp_path / "step-7.npz", make_model(sparsity=0.5)
    save_with(path, checkpoint.read(file), header={"state": state})
    before = [np.array(variable) for variable in model.variables]
    with pytest.raises(checkpoint.Damaged, match="state"):
        checkpoint.restore(checkpoint.read(path), model)
    for variable, old in zip(model.variables, before):
        np.testing.assert_array_equal(np.array(variable), old)


def test_a_packed_bomb_takes_no_memory(file, tmp_path):
    read = checkpoint.read(file)
    number = next(n for n in read.stored if n.endswith(".gaps"))
    bomb = np.frombuffer(zlib.compress(bytes(1 << 27)), "uint8")
    path = tmp_path / "step-7.npz"
    save_with(path, read, **{number: bomb})
    tracemalloc.start()
    with pytest.raises(checkpoint.Damaged):
        checkpoint.restore(checkpoint.read(path), make_model())
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_a_later_version_is_not_called_damaged(file, tmp_path):
    save_with(
        tmp_path / "step-9.npz", checkpoint.read(file), header={"format": 4}
    )
    shutil.copy(file, tmp_path)
    with pytest.raises(UsageError, match="has format 4, of a later version"):
        checkpoint.read_newest(tmp_path)


@pytest.mark.parametrize("units", [9, 16])
def test_another_model_is_told_before_anything_changes(file, units):
    model = make_model(units)
    before = [np.array(v) for v in model.variables]
    with pytest.raises(UsageError, match="is of another model.*has shape"):
        checkpoint.restore(checkpoint.read(file), model)
    for a, b in zip(before, model.variables):
        np.testing.assert_array_equal(a, b)


def test_a_dense_model_is_told(file):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    model.compile(optimizers.SGD(0.1))
    with pytest.raises(UsageError, match="another model or method"):
        checkpoint.restore(checkpoint.read(file), model)


def test_what_is_no_file_is_passed_over(file, tmp_path, caplog):
    """A folder, a link to nothing, and names that are none of ours."""
    shutil.copy(file, tmp_path)
    (tmp_path / "step-8.npz").mkdir()
    (tmp_path / "step-9.npz").symlink_to("nowhere")
    for name in ("step-010.npz", "step--1.npz", "step-٣.npz", "step-1.npz~"):
        (tmp_path / name).write_bytes(b"")
    assert checkpoint.read_newest(tmp_path).step == 7
    assert "step-9.npz cannot be read (No such file" in caplog.text
    assert "step-8.npz cannot be read (Is a directory)" in caplog.text
    checkpoint.save(tmp_path, make_model(), 10, {}, num_kept=1)
    assert (tmp_path / "step-8.npz").is_dir()
    assert checkpoint.read_newest(tmp_path).step == 10


@pytest.mark.parametrize("num_kept, left", [(1, [8]), (2, [7, 8])])
def test_a_damaged_newer_file_holds_no_place(file, tmp_path, num_kept, left):
    shutil.copy(file, tmp_path)
    (tmp_path / "step-20.npz").write_bytes(b"damaged")
    assert checkpoint.read_newest(tmp_path).step == 7
    checkpoint.save(tmp_path, make_model(), 8, {}, num_kept)
    names = [f"step-{step}.npz" for step in left]
    assert sorted(os.listdir(tmp_path)) == names
