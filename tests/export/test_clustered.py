"""Clustered models on disk: a packed file, and a SavedModel."""

import json
import os
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf import export
from dsr_tf import layers
from dsr_tf.core import sparse_arrays
from dsr_tf.export import digest
from dsr_tf.export import sizes
from dsr_tf.export import target
from dsr_tf.models import lenet_5
from dsr_tf.models import lenet_300_100
from tests.conftest import outputs_of
from tests.conftest import values
from tests.export.test_loaders import IMAGES

# Densities and bits of Deep Compression (Han et al., 2016, Tables 2 and 3).
NETWORKS = {
    "lenet_300_100": (
        lambda: lenet_300_100(batch_normalization=False),
        {"fc1": 0.08, "fc2": 0.09, "fc3": 0.26},
        6,
        28e3,
    ),
    "lenet_5": (
        lenet_5,
        {"conv1": 0.66, "conv2": 0.12, "fc1": 0.08, "fc2": 0.19},
        {"conv": 8, "fc": 5},
        46e3,
    ),
}


def network(name):
    """Clustered, with weights as pruning leaves them.

    They follow normal laws, and some inputs say more than others.
    """
    make, densities, bits, most = NETWORKS[name]
    dense = make()
    for layer in dense.layers:
        if layer.name in densities:
            generator = np.random.default_rng(0)
            kernel = generator.normal(size=layer.kernel.shape)
            kernel *= generator.uniform(size=(*kernel.shape[:-1], 1))
            sizes = np.abs(kernel)
            kernel[sizes < np.quantile(sizes, 1 - densities[layer.name])] = 0
            layer.kernel.assign(kernel)
    return dsr_tf.cluster(dense, bits), most


def entropy(symbols):
    """Bytes that these take, each by its frequency among them."""
    _, counts = np.unique(symbols, return_counts=True)
    return -(counts * np.log2(counts / counts.sum())).sum() / 8


@pytest.mark.parametrize("name", NETWORKS)
def test_as_small_as_in_the_paper(name, tmp_path):
    model, most = network(name)
    path = tmp_path / "model.packed"
    export.packed(model, path)
    assert os.path.getsize(path) <= most
    stored = bound = 0.0
    for weight in layers.clustered_weights(model).values():
        store = {}
        weight.save(store)
        stored += sum(values(value).nbytes for value in store.values())
        codes = values(weight.codes)
        if "codes.gaps" not in store:
            codes = codes.T
        codes = codes.reshape(-1)
        places = np.flatnonzero(codes)
        bound += entropy(codes[places]) + values(weight.codebook).nbytes
        bound += entropy(np.diff(places, prepend=-1))
    assert bound < stored <= 1.05 * bound
    loaded = export.load_packed(path)
    np.testing.assert_array_equal(
        outputs_of(loaded, IMAGES), outputs_of(model, IMAGES)
    )
    # Beside what is stored of kernels: biases, and the architecture.
    rest = sum(v.numpy().nbytes for v in model.weights if v.ndim == 1)
    assert os.path.getsize(path) < stored + rest + 1500


def test_a_saved_model(tmp_path):
    """`test_loaders` loads one in a process without this package."""
    model, _ = network("lenet_5")
    export.saved_model(model, tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    (found,) = loaded.serve(IMAGES).values()
    np.testing.assert_array_equal(found, outputs_of(model, IMAGES))
    dense = sizes.dense_bytes(model)
    assert dense == 4 * dsr_tf.strip(model).count_params()
    assert target.size(tmp_path / "model") < dense / 20
    # Most of the rest is the graph; codes are as in a packed file.
    data = tmp_path / "model/variables/variables.data-00000-of-00001"
    assert os.path.getsize(data) < 1.1 * sizes.bound_bytes(model)


def test_some_kernels_clustered_some_masked(tmp_path):
    """One of them tied; sizes that fill no rows; a code of 8 bits."""
    inputs = keras.Input((6, 6, 3), name="x")
    x = layers.SparseConv2D(5, 3, sparsity=0.5, seed=0, name="masked")(inputs)
    x = keras.layers.SeparableConv2D(7, 3, name="both")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(16, name="one")(x)
    x = layers.HashedDense(8, 0.5, seed=0)(x)
    sparse = keras.Model(inputs, keras.layers.Dense(30, name="eight")(x))
    model = dsr_tf.cluster(sparse, {"both|one": 2, "eight": 8})
    export.saved_model(model, tmp_path / "m")
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 3)).astype("float32")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    (found,) = loaded.serve(x).values()
    np.testing.assert_array_equal(found, outputs_of(model, x))
    export.packed(model, tmp_path / "m.packed")
    again = export.load_packed(tmp_path / "m.packed")
    np.testing.assert_array_equal(outputs_of(again, x), outputs_of(model, x))


@keras.saving.register_keras_serializable("tests")
class Holding(keras.layers.Layer):
    """A layer of one's own, with a clustered one inside."""

    def build(self, input_shape):
        self.inner = layers.CLUSTERED_KINDS[keras.layers.Dense](3, bits=2)
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.inner(inputs)


def test_kernels_that_are_not_packed(tmp_path):
    """In a layer of one's own, and of a type that float32 does not hold."""
    first = keras.layers.Dense(16, dtype="float64")
    dense = keras.Sequential(
        [keras.Input((5,)), first, keras.layers.Dense(16), Holding()]
    )
    model = dsr_tf.cluster(dense, 3)
    drawn = np.random.default_rng(0).normal(size=(16, 3))
    model.layers[-1].inner.set_kernel(drawn)
    x = drawn.reshape(-1, 3)[:5].T.astype("float32")
    export.saved_model(model, tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    (found,) = loaded.serve(x).values()
    np.testing.assert_array_equal(found, outputs_of(model, x))


def test_codes_of_each_part_have_a_law_of_their_own():
    parts = [
        np.random.default_rng(0).integers(low, low + 4, 8000).astype("uint8")
        for low in (0, 4)
    ]
    octets = [part.tobytes() for part in parts]
    apart = sparse_arrays.compress(*octets)
    together = sparse_arrays.compress(b"".join(octets))
    assert zlib.decompress(apart) == zlib.decompress(together)
    # zlib has a symbol more, for the end: 2.25 bits in place of 2.
    assert len(apart) < 4600 < 6000 < len(together)


@pytest.fixture
def packed(tmp_path):
    """A packed file without its digest, and its parts."""
    model = keras.Sequential(
        [keras.Input((4,)), layers.ClusteredDense(3, bits=2, name="top")]
    )
    model.layers[0].set_kernel(np.eye(4, 3, dtype="float32"))
    path = tmp_path / "model.packed"
    export.packed(model, path)
    os.remove(digest.beside(path))
    content = path.read_bytes()
    length = int.from_bytes(content[16:20], "little")
    header = json.loads(zlib.decompress(content[24 : 24 + length]))
    return path, header, content[24 + length :]


def write(path, header, data):
    header = zlib.compress(json.dumps(header).encode())
    content = header + data
    path.write_bytes(checked(content, len(header)))


def checked(content, length):
    """A file with that content, whose checksum is right."""
    numbers = (length, zlib.crc32(content))
    front = b"".join(n.to_bytes(4, "little") for n in numbers)
    return b"dsr_tf packed 1\n" + front + content


def test_hostile_files(packed):
    path, header, data = packed
    write(path, header, data)
    kernel = values(export.load_packed(path).layers[0].kernel)
    np.testing.assert_array_equal(kernel, np.eye(4, 3))
    whole = path.read_bytes()

    def refused(content, message):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            export.load_packed(path)

    refused(b"", "begins with something else")
    refused(b"x" + whole, "begins with something else")
    length = int.from_bytes(whole[16:20], "little")
    refused(checked(whole[24:-1], length), "is not there, or twice")
    refused(checked(whole[24:] + b"x", length), "longer than its weights")
    refused(checked(whole[24:40], length), "header is incomplete")
    # Any other byte, in the numbers, the header or the weights.
    for place in range(16, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 16
        refused(bytes(flipped), "checksum|header is incomplete")
    for changes, message in [
        ({"architecture": {}}, "no packed model, or damaged"),
        ({"arrays": header["arrays"][:-1]}, "longer than its weights"),
        ({"arrays": []}, "longer"),
        ({"arrays": [[1, "x", "object", [1]]]}, "of object and shape"),
        ({"arrays": [[1, "x", "float32", [-1]]]}, "shape .-1. is damaged"),
        ({"arrays": [[1, "x", "float32", [10**12]]]}, "is not there"),
    ]:
        write(path, {**header, **changes}, data)
        refused(path.read_bytes(), message)
    text = json.dumps(header)
    for old, new, message in [
        ('"units": 3', f'"units": {10**12}', "memory"),
        ('[2, "codes', '[7, "codes', "stores the variables"),
        ('"bits": 2', '"bits": 9', "could not be deserialized"),
        ('"bits": 2', '"bits": 1', "codebook"),
    ]:
        assert old in text
        write(path, json.loads(text.replace(old, new)), data)
        refused(path.read_bytes(), message)
    path.write_bytes(whole)
    digest.write(path, path.name)
    refused(whole[:-1] + b"x", "SHA-256")


def test_what_has_no_place_in_a_packed_file(tmp_path):
    words = keras.Input((1,), dtype="string")
    x = keras.layers.StringLookup(vocabulary=["a", "b"])(words)
    model = keras.Model(words, layers.SparseEmbedding(3, 2, 0.5)(x))
    with pytest.raises(ValueError, match="keeps files beside its variables"):
        export.packed(model, tmp_path / "model.packed")
    with pytest.raises(ValueError, match="end in .packed"):
        export.packed(model, tmp_path / "model")
