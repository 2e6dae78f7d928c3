"""Bad input to commands: one sentence, exit code 2, nothing written."""

import os
import shutil

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import command_line
from dsr_tf.command_line import flagfiles
from dsr_tf.commands import benchmark
from dsr_tf.commands import evaluate
from dsr_tf.commands import train
from dsr_tf.training import checkpoint

NEW = "--output_dir={tmp}/new"


def refuse(command, arguments, tmp_path, capsys):
    arguments = [a.replace("{tmp}", str(tmp_path)) for a in arguments]
    with pytest.raises(SystemExit) as error:
        command.main(["command", *arguments])
    assert error.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("command: ")
    assert captured.err.count("\n") == 1 and "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--epochs=3"], "--output_dir is required"),
        ([NEW, "--epoch=3"], "Unknown command line flag 'epoch'"),
        ([NEW, "--epochs=0"], "--epochs=0: must be an integer of at least 1"),
        ([NEW, "--epochs=ten"], "--epochs=ten: must be an integer"),
        ([NEW, "--batch_size=-5"], "--batch_size=-5: must be an integer"),
        ([NEW, "--sparsity=1"], "--sparsity=1: must be a number of at least 0"),
        ([NEW, "--sparsity=90%"], "--sparsity=90%: must be a number"),
        ([NEW, "--sparsity=nan"], "--sparsity=nan: must be a number"),
        ([NEW, "--momentum=1"], "--momentum=1: must be a number"),
        ([NEW, "--momentum=0"], "--nesterov=true needs a momentum above 0"),
        ([NEW, "--l1=-1"], "--l1=-1: must be a number"),
        ([NEW, "--tolerance=1.5"], "--tolerance=1.5: must be"),
        ([NEW, "--initial_threshold=0"], "must be a number above 0"),
        ([NEW, "--num_reallocated=0"], "--num_reallocated=0: must be"),
        (
            [NEW, "--num_reallocated=5020"],
            "=5020: must be smaller than",
        ),
        ([NEW, "--period=5:100"], "--period=5:100: must be a positive integer"),
        ([NEW, "--period=0:1.5"], "--period=0:1.5: must be a positive integer"),
        ([NEW, "--learning_rate=fast"], "--learning_rate=fast: must be a posi"),
        ([NEW, "--stop_epoch=-1"], "--stop_epoch=-1: must be an integer"),
        ([NEW, "--seed=-1"], "--seed=-1: must be an integer"),
        ([NEW, "--seed=2147483647"], "--seed=2147483647: must be at most"),
        ([NEW, "--method=rigged"], "--method=rigged: value should be one of"),
        ([NEW, "--model=vgg"], "--model=vgg: value should be one of"),
        ([NEW, "--strategy=tpus"], "--strategy=tpus: value should be one of"),
        ([NEW, "--strategy=tpu"], "--strategy=tpu: no such devices (Please"),
        ([NEW, "--strategy=multi_worker"], "variable TF_CONFIG must be like"),
        ([NEW, "--distribution=x"], "--distribution=x: must be one of uniform"),
        ([NEW, "--distribution=fc1:2"], "must have a number in [0, 1)"),
        ([NEW, "--distribution=fc1:0.1"], "sparsities given by name leave"),
        (
            [NEW, "--parameter_budget=1.5"],
            "--parameter_budget=1.5: must be an integer of at least 1, or a "
            "share above 0 and below 1\n",
        ),
        ([NEW, f"--mac_budget={2**64}"], f"must be at most {2**63 - 1}\n"),
        ([NEW, "--width=0"], "--width=0: must be a number above 0"),
        ([NEW, "--cosine", "--learning_rate=0:1,2:.1"], "must be one number"),
        ([NEW, "--label_smoothing=1"], "--label_smoothing=1: must be a numb"),
        ([NEW, "--augmentation=cut"], "--augmentation=cut: value should be"),
        ([NEW, "--image_size=9"], "--image_size=9: The images of 'digits'"),
        ([NEW, "--dataset=image_folder"], "image_folder needs data_dir"),
        ([NEW, "--keep_dense=fc"], "has no layer to mask"),
        (
            [NEW, "--keep_dense=logits"],
            "finds layers of lenet_300_100 by name, such as fc1 or fc3",
        ),
        (
            [NEW, "--keep_dense=none", "--sparse_shortcuts"],
            "--sparse_shortcuts=true: changes --keep_dense=paper",
        ),
        ([NEW, "--fraction=1"], "--fraction=1: must be a number above 0"),
        ([NEW, "--temperature=-1"], "--temperature=-1: must be a positive"),
        ([NEW, "--method=snfs", "--momentum=0", "--nonesterov"], "a momentum"),
        (
            [NEW, "--method=deep_r", "--granularity=channel"],
            "DeepR needs granularity 'element'",
        ),
        (
            [NEW, "--method=thin", "--parameter_budget=5"],
            "--parameter_budget=5: too few for lenet_300_100",
        ),
        (
            [NEW, "--method=gradual", "--pruning_hparams=target=1"],
            "must be a comma-separated list NAME=VALUE",
        ),
        (
            [NEW, "--method=gradual", "--pruning_hparams=block_height=3"],
            "`granularity` 'block:3x1' needs a kernel",
        ),
        (
            [NEW, "--initial_checkpoint={tmp}/none"],
            "must be a .keras file or the folder of a finished run",
        ),
        ([NEW, "--initial_checkpoint={dense}"], "names a run of dsr_tf.compa"),
        (
            [NEW, "--copy_masks_from={tmp}/full"],
            "must be a .keras file or the folder of a finished run",
        ),
        (
            [NEW, "--copy_masks_from={tmp}/full", "--method=dense"],
            "needs a --method with masks, not dense",
        ),
        (
            [NEW, "--granularity=x"],
            "--granularity=x: must be one",
        ),
        ([NEW, "--keep_dense=("], "must be a regular expression"),
        ([NEW, "--keep_dense=fc"], "has no layer to mask"),
        ([NEW, "--mixed_precision=int8"], "--mixed_precision=int8: value shou"),
        ([NEW, "--jit_compile=maybe"], "--jit_compile=maybe: "),
        ([NEW, "--schedule_scale=0"], "must be a number above 0"),
        ([NEW, "--dataset=no_such_set"], "There is no data set 'no_such_set'"),
        ([NEW, "--batch_size=9999"], "--batch_size=9999: must be at most the"),
        ([NEW, "--steps_per_execution=5"], "must divide the 14 steps"),
        (
            [NEW, "--strategy=mirrored", "--mixed_precision=float16"],
            "with --strategy=mirrored give bfloat16",
        ),
        (
            [NEW, "--strategy=mirrored", "--batch_size=75"],
            "must be divisible by the 2 replicas that share it",
        ),
        ([NEW, "--sparsity=0.99999"], "cannot give each of 3 kernels"),
        ([NEW, "digits"], "unexpected argument 'digits'"),
        ([NEW, "--flagfile={tmp}/none.flags"], "cannot be read (No such file"),
        (["--output_dir={tmp}/file"], "is not a folder"),
        (["--output_dir={tmp}/full"], "must be a new or an empty folder"),
    ],
)
def test_train(arguments, message, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    assert message in refuse(train, arguments, tmp_path, capsys)
    assert sorted(os.listdir(tmp_path)) == ["file", "full"]
    assert os.listdir(tmp_path / "full") == ["mine"]


def test_a_data_set_that_cannot_be_fetched(tmp_path, capsys, monkeypatch):
    """As on a machine without network."""
    import tensorflow_datasets as tfds

    def fail(self, **arguments):
        raise OSError("No route to host\nmore lines")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    arguments = [NEW, "--dataset=mnist", "--data_dir={tmp}/data"]
    # A mistyped folder is not made.
    error = refuse(train, arguments, tmp_path, capsys)
    assert "data is no folder: make it, where 'mnist' is to be" in error
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    error = refuse(train, arguments, tmp_path, capsys)
    assert "'mnist' is not in data_dir=" in error
    assert "could not be downloaded (No route to host); if it is on" in error
    assert "give the folder that it is in as data_dir" in error
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    train.main(["train", "--epochs=1", "--seed=3", f"--output_dir={folder}"])
    return folder


@pytest.fixture
def copy(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    "change, message",
    [
        ("--seed=4", "--seed=4: the run in"),
        ("--sparsity=0.8", "was started with --sparsity=0.9"),
        ("--method=static", "was started with --method=dsr"),
        ("--nobatch_normalization", "--batch_normalization=False"),
    ],
)
def test_resuming_another_run(change, message, copy, tmp_path, capsys):
    arguments = [f"--output_dir={copy}", "--epochs=1", "--seed=3", "--resume"]
    before = (copy / "metrics.csv").read_text()
    assert message in refuse(train, [*arguments, change], tmp_path, capsys)
    assert (copy / "metrics.csv").read_text() == before


@pytest.mark.parametrize(
    "change",
    [lambda model: None, lambda model: dsr_tf.sparsify(model, 0.5)],
    ids=["dense", "other shapes"],
)
def test_a_checkpoint_of_another_model(change, copy):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model = change(model) or model
    model.compile("sgd")
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(command_line.UsageError, match="of another model"):
        checkpoint.restore(checkpoint.read_newest(copy / "checkpoints"), model)
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--model is required"),
        (
            ["--model={tmp}"],
            "must be a SavedModel, a .keras, .tflite, .onnx or",
        ),
        (["--model={tmp}/none.keras"], "must be a SavedModel"),
        (["--model={tmp}/bad.keras", "--dataset=digits"], "cannot be loaded"),
        (["--model={tmp}/bad", "--dataset=digits"], "cannot be loaded"),
        (["--model={tmp}/good.keras"], "--dataset is required"),
        (["--model={tmp}/good.keras", "--dataset=no"], "There is no data set"),
        (["--model={tmp}/good.keras", "--dataset=digits"], "does not take the"),
        (["--model={tmp}/wide.keras", "--dataset=digits"], "has 10 classes"),
        (["--model={tmp}/two.keras", "--dataset=digits"], "has 2 inputs"),
        (["--modell=x"], "Unknown command line flag"),
    ],
)
def test_evaluate(arguments, message, tmp_path, capsys):
    (tmp_path / "bad.keras").write_text("no zip")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "saved_model.pb").write_text("no proto")
    keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)]).save(
        tmp_path / "good.keras"
    )
    keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    ).save(tmp_path / "wide.keras")
    pair = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    keras.Model(pair, keras.layers.Add()(pair)).save(tmp_path / "two.keras")
    before = sorted(os.listdir(tmp_path))
    assert message in refuse(evaluate, arguments, tmp_path, capsys)
    assert sorted(os.listdir(tmp_path)) == before


def test_evaluating_a_model_for_images_of_any_size(tmp_path, capsys):
    inputs = keras.Input((None, None, 1))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    model.save(tmp_path / "m.keras")
    dsr_tf.export.saved_model(model, tmp_path / "m")
    for name in ("m", "m.keras"):
        arguments = [f"--model={tmp_path / name}", "--dataset=digits"]
        evaluate.main(["evaluate", *arguments])
        assert "360 test images" in capsys.readouterr().out


def test_benchmark(tmp_path, capsys):
    error = refuse(benchmark, ["--rounds=0"], tmp_path, capsys)
    assert "--rounds=0: must be an integer of at least 1" in error
    error = refuse(benchmark, ["--batch_size=9999"], tmp_path, capsys)
    assert "--batch_size=9999" in error
    error = refuse(benchmark, ["--networks=dense,x"], tmp_path, capsys)
    assert "--networks=dense,x: must be among dense, dense_again" in error


def test_benchmark_prints_a_table(capsys):
    benchmark.main(
        [
            "benchmark",
            "--rounds=1",
            "--steps=6",
            "--networks=dense,dense_again,static,dsr,dsr_saving",
            "--measured_period=2",
            "--nojit_compile",
        ]
    )
    printed = capsys.readouterr().out
    for arm in ("dense again", "static", "6 steps, a reallocation every 2"):
        assert arm in " ".join(printed.split())
    rows = [line.split() for line in printed.splitlines()]
    rows = [row for row in rows if row[:1] == ["dsr"]]
    # Seconds, two ratios, milliseconds, and what it adds.
    assert [len(row) for row in rows] == [6, 7]
    assert all(row[-1].endswith("%") for row in rows)


@pytest.mark.parametrize("command", [train, evaluate, benchmark])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["command", "--help"])
    assert end.value.code == 0
    assert "--data_dir=" in capsys.readouterr().out


def test_a_flagfile_without_its_flag(tmp_path, capsys):
    message = refuse(train, ["flags/quickstart.flags"], tmp_path, capsys)
    assert "did you mean --flagfile=flags/quickstart.flags?" in message


def test_flagfiles(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.flags").write_text(
        "# a comment\n--flagfile=b.flags\n\n--x=1\n"
    )
    (tmp_path / "sub" / "b.flags").write_text("--x=2\n--y=2\n")
    path = tmp_path / "sub" / "a.flags"
    expanded = flagfiles.expand(["--x=0", f"--flagfile={path}"])
    # What stands last counts: the command line, then a, then b.
    assert expanded == ["--x=2", "--y=2", "--x=1", "--x=0"]
    assert expanded == flagfiles.expand(["--flagfile", str(path), "--x=0"])


def test_broken_flagfiles(tmp_path):
    loop = tmp_path / "loop.flags"
    loop.write_text("--flagfile=loop.flags\n")
    with pytest.raises(command_line.UsageError, match="includes itself"):
        flagfiles.expand([f"--flagfile={loop}"])
    other = tmp_path / "other.flags"
    other.write_text("epochs 3\n")
    with pytest.raises(command_line.UsageError, match="must be a flag"):
        flagfiles.expand([f"--flagfile={other}"])


def test_another_backend(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    message = refuse(train, ["--output_dir={tmp}/new"], tmp_path, capsys)
    assert "KERAS_BACKEND=jax: runs need tensorflow" in message
