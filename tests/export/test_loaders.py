"""Who can load a sparse SavedModel: Python, old and new, and C."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf.models import lenet_300_100
from tests.conftest import outputs_of

IMAGES = np.random.default_rng(0).normal(size=(5, 28, 28, 1)).astype("float32")

# Plain TensorFlow, in a process that cannot import this package.
LOADER = """
import sys
sys.modules["dsr_tf"] = None
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
(name,) = loaded.signatures["serving_default"].structured_input_signature[1]
images = np.load(sys.argv[2])
outputs = loaded.signatures["serving_default"](**{name: images})
(output_name,) = outputs
np.save(sys.argv[3], outputs[output_name].numpy())
print(name, output_name)
"""


def test_a_fresh_process_without_this_package(tmp_path):
    """A masked kernel, and clustered ones."""
    model = dsr_tf.sparsify(lenet_300_100(), 0.95, seed=0)
    model = dsr_tf.cluster(model, {"fc[13]": 5})
    dsr_tf.export.saved_model(model, tmp_path / "model")
    np.save(tmp_path / "images.npy", IMAGES)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            LOADER,
            tmp_path / "model",
            tmp_path / "images.npy",
            tmp_path / "logits.npy",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["image", "logits"]
    np.testing.assert_array_equal(
        np.load(tmp_path / "logits.npy"), outputs_of(model, IMAGES)
    )


# Sparse products add up in another order.
MODES = [("never", 0, 0), ("always", 1e-4, 1e-5)]


@pytest.mark.parametrize("sparse_matmul, rtol, atol", MODES)
def test_the_c_library(sparse_matmul, rtol, atol, tmp_path):
    """In a process without Python's TensorFlow, as a server loads it."""
    model = dsr_tf.sparsify(lenet_300_100(), 0.95, seed=0)
    folder = tmp_path / "model"
    dsr_tf.export.saved_model(model, folder, sparse_matmul=sparse_matmul)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
    signature = meta.signature_def["serving_default"]
    np.save(tmp_path / "images.npy", IMAGES)
    library = os.path.join(tf.sysconfig.get_lib(), "libtensorflow_cc.so.2")
    subprocess.run(
        [
            sys.executable,
            os.path.join(os.path.dirname(__file__), "c_api.py"),
            library,
            folder,
            signature.inputs["image"].name,
            signature.outputs["logits"].name,
            tmp_path / "images.npy",
            tmp_path / "logits.npy",
        ],
        check=True,
    )
    np.testing.assert_allclose(
        np.load(tmp_path / "logits.npy"),
        outputs_of(model, IMAGES),
        rtol=rtol,
        atol=atol,
    )


def test_the_v1_loader(tmp_path):
    model = dsr_tf.sparsify(lenet_300_100(), 0.9, seed=0)
    dsr_tf.export.saved_model(model, tmp_path / "model")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(
            session, ["serve"], str(tmp_path / "model")
        )
        signature = meta.signature_def["serving_default"]
        outputs = session.run(
            signature.outputs["logits"].name,
            {signature.inputs["image"].name: IMAGES},
        )
    np.testing.assert_array_equal(outputs, outputs_of(model, IMAGES))


def test_two_models_in_one_process(tmp_path):
    for name, sparsity in (("a", 0.5), ("b", 0.9)):
        model = dsr_tf.sparsify(lenet_300_100(), sparsity, seed=0)
        dsr_tf.export.saved_model(model, tmp_path / name)
    loaded = [tf.saved_model.load(str(tmp_path / n)) for n in "aab"]
    first, again, other = (x.serve(IMAGES)["logits"].numpy() for x in loaded)
    del loaded[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(
        loaded[0].serve(IMAGES)["logits"].numpy(), first
    )


@pytest.mark.parametrize("sparse_matmul, rtol, atol", MODES)
def test_the_loaded_object_need_not_be_kept(
    sparse_matmul, rtol, atol, tmp_path
):
    """As with any SavedModel whose weights are variables."""
    model = dsr_tf.sparsify(lenet_300_100(), 0.9, seed=0)
    path = str(tmp_path / "model")
    dsr_tf.export.saved_model(model, path, sparse_matmul=sparse_matmul)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    gc.collect()
    np.testing.assert_allclose(
        serve(image=tf.constant(IMAGES))["logits"],
        outputs_of(model, IMAGES),
        rtol=rtol,
        atol=atol,
    )
