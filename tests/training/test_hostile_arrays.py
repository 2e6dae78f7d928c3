"""Arrays in checkpoints that would take all memory, or run code."""

import tracemalloc
import zipfile

import pytest

from dsr_tf.training import checkpoint


def npz(path, compression=zipfile.ZIP_STORED, **members):
    """A zip file of members given as bytes."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def npy(shape, descr="'<f4'", data=b""):
    """A `.npy` file that says what it wants."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return (
        b"\x93NUMPY\1\0"
        + len(text).to_bytes(2, "little")
        + (text.encode() + data)
    )


HOSTILE = {
    "absurd shape": npy("(1000000000000,)"),
    "negative shape": npy("(-4,)", data=bytes(16)),
    "twice negative": npy("(-2, -2)", data=bytes(16)),
    "overflow": npy("(4294967296, 4294967296)"),
    "no shape": npy("None"),
    "objects": npy("(1,)", "'|O'", b"\x80\x04N."),
    "nested objects": npy("(1,)", "[('a', '|O')]", bytes(8)),
    "code": npy("().__class__"),
    "deep": npy("(" * 5000),
    "no items": npy("(10000000000,)", "'<U0'"),
    "no npy": b"PK",
    "future npy": b"\x93NUMPY\x09\0" + bytes(60),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_malformed_array_is_damage(kind, tmp_path):
    path = tmp_path / "step-1.npz"
    npz(path, header=HOSTILE[kind])
    tracemalloc.start()
    with pytest.raises(checkpoint.Damaged):
        checkpoint.read(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_compressed_arrays_are_not_unpacked(tmp_path):
    """A megabyte that would become a gigabyte."""
    path = tmp_path / "step-1.npz"
    zeros = npy("(33554432,)", data=bytes(1 << 27))
    npz(path, zipfile.ZIP_DEFLATED, header=zeros)
    del zeros
    tracemalloc.start()
    with pytest.raises(checkpoint.Damaged, match="more than there is"):
        checkpoint.read(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
