"""MobileNet as WebAssembly: LiteRT.js in Node, by hand.

It needs Node 20 and a folder in which there is the npm package:

    npm install --prefix=DIR @litertjs/core@2.5.3
    LITERT_JS_DIR=DIR pytest -m slow -s tests/export/test_webassembly.py

With `-s` it prints the table of docs/export.md, "In browsers".
"""

import json
import os
import pathlib
import re
import subprocess

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import models
from dsr_tf.commands import export
from tests.conftest import outputs_of

FOLDER = os.environ.get("LITERT_JS_DIR")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        FOLDER is None, reason="LITERT_JS_DIR names no folder with LiteRT.js"
    ),
]

SCRIPT = pathlib.Path(__file__).with_name("litert_in_node.mjs")
ROUNDS = 60
PAPER, NOTHING = models.PAPER_DENSE["mobilenet"], []
# By size of the image: a name; the sparsity, expressions for what stays dense,
# and the distribution; flags of the export; how many times faster than the
# dense network it must be.
CASES = {
    64: [("0.9", 0.9, PAPER, "uniform", [], 2.5)],
    128: [
        ("0.8", 0.8, PAPER, "uniform", [], 1.8),
        ("0.9", 0.9, PAPER, "uniform", [], 3),
        ("0.95", 0.95, PAPER, "uniform", [], 3.5),
        ("0.9, float16", 0.9, PAPER, "uniform", ["--values=float16"], 3),
        ("0.9, all kernels", 0.9, NOTHING, "uniform", [], 3),
        ("0.9, ERK", 0.9, PAPER, "erk", [], 1.2),
    ],
    224: [("0.9", 0.9, PAPER, "uniform", [], 3)],
}


def network(size):
    """With normalizations that do something."""
    keras.utils.set_random_seed(0)
    model = models.mobilenet((size, size, 3), 100)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.beta.shape
            layer.beta.assign(generator.normal(0, 0.1, shape))
            layer.moving_mean.assign(generator.normal(0, 0.1, shape))
            layer.moving_variance.assign(generator.uniform(0.5, 1.5, shape))
    return model


def sparse_network(size, sparsity, kept, distribution):
    return dsr_tf.sparsify(
        network(size),
        sparsity,
        filters=lambda layer: not any(re.search(k, layer.name) for k in kept),
        distribution=distribution,
        seed=0,
    )


def exported(model, path, flags=()):
    """The path of the file that the command writes."""
    model.save(path.with_suffix(".keras"))
    arguments = ["--format=litert", "--batch_size=1", *flags]
    export.main(
        [
            "export",
            f"--model={path.with_suffix('.keras')}",
            f"--output={path}",
            *arguments,
        ]
    )
    return str(path)


def run_in_node(paths, image, folder):
    """Outputs of each file for an image, and milliseconds of CPU time."""
    (folder / "image").write_bytes(image.tobytes())
    plan = {
        "models": paths,
        "shape": image.shape,
        "values": str(folder / "image"),
        "rounds": ROUNDS,
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    result = folder / "result.json"
    command = ["node", SCRIPT, FOLDER, folder / "plan.json", result]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found = json.loads(result.read_text())
    return np.array(found["outputs"]), found["milliseconds"]


@pytest.mark.parametrize("size", CASES)
def test_sparse_mobilenet_is_faster(size, tmp_path):
    image = np.random.default_rng(1).normal(size=(1, size, size, 3))
    image = image.astype("float32")
    dense = network(size)
    sparse = [sparse_network(size, *case[1:4]) for case in CASES[size]]
    paths = [exported(dense, tmp_path / "dense.tflite")]
    for index, (model, case) in enumerate(zip(sparse, CASES[size])):
        paths.append(exported(model, tmp_path / f"{index}.tflite", case[4]))
    # The dense one twice, which tells how exact the times are.
    found, times = run_in_node([*paths, paths[0]], image, tmp_path)
    print(
        f"\n{size}: dense {times[0]:.2f} ms, again {times[0] / times[-1]:.2f}"
    )
    names = ["dense", *[case[0] for case in CASES[size]]]
    for name, model, outputs in zip(names, [dense, *sparse], found):
        (expected,) = outputs_of(model, image)
        error = np.abs(outputs - expected).max() / np.abs(expected).max()
        print(f"{size}, {name}: outputs differ by {error:.1e}")
        assert error <= (1e-2 if "float16" in name else 1e-5)
    for case, milliseconds, path in zip(CASES[size], times[1:], paths[1:]):
        print(
            f"{size}, {case[0]}: {os.path.getsize(path):,} bytes, "
            f"{milliseconds:.2f} ms, {times[0] / milliseconds:.1f} times faster"
        )
    assert 0.8 < times[0] / times[-1] < 1.25
    for case, milliseconds in zip(CASES[size], times[1:]):
        assert times[0] >= case[5] * milliseconds, case
