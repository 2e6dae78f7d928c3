"""`python -m dsr_tf.export`, and `dsr_tf.evaluate` on what it writes."""

import os
import re
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf.commands import evaluate
from dsr_tf.commands import export
from dsr_tf.commands import train
from dsr_tf.export import runnable
from dsr_tf.export import sizes
from dsr_tf.export import target
from dsr_tf.export import timing
from dsr_tf.models import lenet_300_100
from tests.export.test_target import full_disk

OUTPUTS = {
    "sparse": ["--format=saved_model", "--preprocessing"],
    "half": ["--format=saved_model", "--values=bfloat16"],
    "dense": ["--format=saved_model", "--dense"],
    "m.tflite": ["--format=litert"],
    "half.tflite": ["--format=litert", "--values=float16"],
    "one.tflite": ["--format=litert", "--batch_size=1"],
    "m.onnx": ["--format=onnx"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a run of LeNet-300-100 on digits."""
    folder = tmp_path_factory.mktemp("run") / "run"
    arguments = ["--dataset=digits", "--epochs=2", "--nojit_compile"]
    arguments.append("--steps_per_execution=1")
    train.main(["train", *arguments, f"--output_dir={folder}"])
    return folder


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for name, arguments in OUTPUTS.items():
        export.main(
            ["export", f"--model={run}", f"--output={folder / name}"]
            + arguments
        )
    return folder


def accuracy(path, capsys):
    evaluate.main(["evaluate", f"--model={path}", "--dataset=digits"])
    return re.search(r"test accuracy +(\S+)%", capsys.readouterr().out)[1]


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_format_is_evaluated(name, run, exported, capsys):
    expected = float(accuracy(run / "model.keras", capsys))
    lossy = 1.0 if "half" in name else 0.0
    found = float(accuracy(exported / name, capsys))
    assert found == pytest.approx(expected, abs=lossy)


def test_sizes(exported):
    size = {name: target.size(exported / name) for name in OUTPUTS}
    assert size["half"] < size["sparse"] < size["dense"] / 3
    assert size["half.tflite"] < size["m.tflite"] < size["dense"] / 3
    # Dense, as all runtimes read it.
    assert size["m.onnx"] > 0.9 * 4 * lenet_300_100((8, 8, 1)).count_params()


def test_what_is_printed(run, tmp_path, capsys):
    output = tmp_path / "m"
    export.main(["export", f"--model={run}", f"--output={output}"])
    printed = " ".join(capsys.readouterr().out.split())
    assert f"bytes {target.size(output):,}" in printed
    assert "equal to the model's to the bit" in printed
    assert "what it gains smaller" in printed


def test_bytes_of_images_by_the_data_set_of_the_run(exported):
    loaded = tf.saved_model.load(str(exported / "sparse"))
    images = np.zeros((2, 8, 8, 1), "uint8")
    found = loaded.signatures["classify"](image=tf.constant(images))
    np.testing.assert_allclose(
        np.sum(found["probabilities"], axis=1), [1, 1], rtol=1e-5
    )


@pytest.mark.slow
def test_comparing(exported, capsys, monkeypatch):
    monkeypatch.setattr(timing, "_LOADS", 1)
    paths = [str(exported / name) for name in ("dense", "m.onnx")]
    evaluate.main(
        ["evaluate", f"--model={','.join(paths)}", "--dataset=digits"]
    )
    printed = capsys.readouterr().out
    for path in paths:
        assert f"{target.size(path):,}" in printed
    assert "times are CPU time" in " ".join(printed.split())
    assert printed.count(" ms") == 6 and printed.count(" s ") == 2
    assert printed.count("%") == 2


def test_a_gpu_is_timed_by_the_wall(monkeypatch):
    def latency():
        waits = runnable.RunnableModel(
            "m", "", lambda _: time.sleep(0.02), (None, 1)
        )
        return timing.latencies([waits], 1)[0]

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert latency() < 0.02
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert latency() >= 0.02


def refuse(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        export.main(["export", *arguments])
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("export: ") and message.count("\n") == 1
    return message


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--model is required"),
        (["--model={run}"], "--output is required"),
        (["--model={tmp}", "--output={tmp}/x"], "must be a .keras file or"),
        (
            ["--model={tmp}/bad.keras", "--output={tmp}/x"],
            "cannot be loaded (it is no",
        ),
        (["--model={tmp}/alien.keras", "--output={tmp}/x"], "Alien"),
        (["--model={run}", "--output={tmp}/full"], "exist or is empty"),
        (["--model={run}", "--output={tmp}/x", "--format=torch"], "one of"),
        (
            ["--model={run}", "--output={tmp}/x", "--format=litert"],
            "must be a file that does not exist and end in .tflite",
        ),
        (
            ["--model={run}", "--output={tmp}/old.onnx", "--format=onnx"],
            "must be a file that does not exist and end in .onnx",
        ),
        (
            [
                "--model={run}",
                "--output={tmp}/x.onnx",
                "--format=onnx",
                "--values=float16",
            ],
            "--values=float16: must be float32 for --format=onnx",
        ),
        (
            [
                "--model={run}",
                "--output={tmp}/x.tflite",
                "--format=litert",
                "--preprocessing",
            ],
            "--preprocessing=True: is for --format=saved_model only",
        ),
        (
            ["--model={run}", "--output={tmp}/x.tflite", "--format=litert"]
            + ["--dense"],
            "--dense=True: is for --format=saved_model only, not for "
            "--format=litert",
        ),
        (
            ["--model={run}", "--output={tmp}/x", "--dense"]
            + ["--sparse_matmul=always"],
            "--sparse_matmul=always: is for sparse SavedModels; with --dense "
            "it must be auto",
        ),
        (
            ["--model={run}", "--output={tmp}/x", "--dense"]
            + ["--values=float16"],
            "--values=float16: must be float32 for --dense",
        ),
        (
            ["--model={run}", "--output={tmp}/x[1]"],
            "a local folder from which TensorFlow can load",
        ),
        (
            ["--model={run}", "--output={tmp}/old.onnx/x"],
            "old.onnx is no folder",
        ),
        (
            [
                "--model={tmp}/words.keras",
                "--output={tmp}/x.onnx",
                "--format=onnx",
            ],
            "cannot be converted to ONNX (",
        ),
        (
            ["--model={tmp}/plain.keras", "--output={tmp}/x"]
            + ["--preprocessing"],
            "is not in the folder of a run",
        ),
    ],
)
def test_refusals(arguments, message, run, tmp_path, capsys):
    whole = (run / "model.keras").read_bytes()
    (tmp_path / "bad.keras").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    (tmp_path / "old.onnx").write_text("mine")

    class Alien(keras.layers.Dense):
        pass

    for name, kind in (("alien", Alien), ("plain", keras.layers.Dense)):
        keras.Sequential([keras.Input((3,)), kind(2)]).save(
            tmp_path / f"{name}.keras"
        )
    inputs = keras.Input((4,), dtype="string")
    x = keras.layers.StringLookup(vocabulary=["a", "b"])(inputs)
    x = keras.layers.Embedding(3, 2)(x)
    keras.Model(inputs, x).save(tmp_path / "words.keras")
    before = sorted(os.listdir(tmp_path))
    arguments = [a.format(run=run, tmp=tmp_path) for a in arguments]
    assert message in refuse(arguments, capsys)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "full" / "file").read_text() == "mine"
    assert (tmp_path / "old.onnx").read_text() == "mine"


@pytest.fixture
def without_packages(monkeypatch):
    """As after `pip install dsr_tf`, without `[export]`."""
    for name in ("tf2onnx", "onnxruntime", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)


def test_a_format_that_lacks_its_package_is_named(
    run, tmp_path, capsys, without_packages
):
    arguments = [f"--model={run}", f"--output={tmp_path}/m.onnx"]
    assert refuse([*arguments, "--format=onnx"], capsys) == (
        "export: flag --format=onnx: needs the package tf2onnx: pip install "
        "'dsr_tf[export]'\n"
    )
    assert not os.listdir(tmp_path)


def test_what_cannot_be_run_here_is_not_compared(
    run, tmp_path, capsys, without_packages, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "m.tflite"
    arguments = [f"--model={run}", "--format=litert", f"--output={path}"]
    export.main(["export", *arguments])
    assert path.stat().st_size > 1000
    assert (
        "not compared: running it needs the package ai-edge-litert: pip "
        "install 'dsr_tf[export]'"
    ) in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["x"], ["x", "--dense"], ["x.onnx", "--format=onnx"]]
)
def test_a_full_disk_ends_in_a_sentence(arguments, run, tmp_path, capsys):
    output, *arguments = arguments
    arguments = [f"--model={run}", f"--output={tmp_path}/{output}", *arguments]
    with full_disk(1000), pytest.raises(SystemExit) as error:
        export.main(["export", *arguments])
    assert error.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith(f"export: flag --output={tmp_path}/{output}: ")
    assert "cannot be written (" in message and message.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_paths_with_brackets_are_printed_as_they_are(
    run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "300")
    output = tmp_path / "a[" / "b] [red]" / "m.onnx"
    export.main(
        ["export", f"--model={run}", f"--output={output}", "--format=onnx"]
    )
    assert f" {output} " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["sparse", "m.tflite", "m.onnx"])
def test_damaged_files_are_told(name, exported, tmp_path, capsys):
    path = exported / name
    if path.is_dir():
        files = [p for p in (path / "variables").iterdir() if "data" in p.name]
        path = files[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        with pytest.raises(SystemExit) as error:
            evaluate.main(
                ["e", f"--model={exported / name}", "--dataset=digits"]
            )
    finally:
        path.write_bytes(whole)
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert "cannot be loaded" in message and "Traceback" not in message


def test_the_bound_by_hand():
    """2 of 8 weights, 4 biases: 2 * 4 + 8 * H(1/4) / 8 + 4 * 4 bytes."""
    model = keras.Sequential(
        [keras.Input((2,)), dsr_tf.layers.SparseDense(4, 0.75, seed=0)]
    )
    assert sizes.dense_bytes(model) == 4 * 12
    assert sizes.bound_bytes(model) == pytest.approx(24 + 0.811278)


def test_other_kinds_of_models(tmp_path):
    """Without masks, and with a dense twin."""
    model = lenet_300_100()
    images = np.random.default_rng(0).normal(size=(2, 28, 28, 1))
    expected = model.predict_on_batch(images.astype("float32"))
    for write in (dsr_tf.export.saved_model, dsr_tf.export.dense_saved_model):
        path = tmp_path / write.__name__
        write(model, path)
        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serving_default"]
        inputs = tf.constant(images, "float32")
        np.testing.assert_array_equal(*serve(inputs).values(), expected)
