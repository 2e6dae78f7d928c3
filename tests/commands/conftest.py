"""A folder of runs, models and data sets, whole and damaged."""

import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf.commands import train


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The folder that all bad inputs name things in.

    It is made once: a refusal changes nothing.
    """
    root = tmp_path_factory.mktemp("world")
    _files(root)
    _images(root)
    _records(root / "data")
    _run(root)
    _summaries(root)
    _moves(root)
    _models(root)
    return root


def listing(root):
    """Everything in a folder; of files, also size and time.

    (Folders keep no time: to take the lock of a new folder is to make it,
    and a refusal takes it away again.)
    """
    found, folders = {}, [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    found[entry.path] = True
                else:
                    status = entry.stat(follow_symlinks=False)
                    found[entry.path] = status.st_size, status.st_mtime_ns
    return found


def _files(root):
    (root / "file").write_text("mine")
    (root / "full").mkdir()
    (root / "full" / "mine").write_text("mine")
    os.symlink("nowhere", root / "dangling")
    (root / "begun" / "checkpoints").mkdir(parents=True)
    flags = root / "flags"
    flags.mkdir()
    for name, lines in {
        "dense": "--method=dense",
        "dsr": "--method=dsr",
        "dsr[1]": "--method=dsr",
        "ticket": "--method=static\n--copy_masks_from={dsr}",
        "loop": "--flagfile=loop.flags",
        "zero": "--output_dir=a\0b",
        "words": "epochs 3",
        "unknown": "--epoch=3",
        "wrong": "--sparsity=2",
        "large": "#" * 2**21,
        **{
            f"many{i}": f"--flagfile=many{i + 1}.flags\n" * 2 for i in range(10)
        },
        "many10": "--epochs=1",
    }.items():
        (flags / f"{name}.flags").write_text(lines)
    (flags / "bytes.flags").write_bytes(b"--epochs=\xff")


def _images(root):
    """Folders of images, each with something wrong."""
    good = tf.io.encode_png(np.zeros((9, 9, 3), "uint8")).numpy()
    for name in ("good", "strange", "dangling", "folder", "no_test", "empty"):
        for split in ("train", "test"):
            path = root / "images" / name / split / "cat"
            path.mkdir(parents=True)
            (path / "1.png").write_bytes(good)
    images = root / "images"
    (images / "strange" / "test" / "dog").mkdir()
    os.symlink("nowhere", images / "dangling" / "train" / "cat" / "2.png")
    (images / "folder" / "train" / "cat" / "2.png").mkdir()
    shutil.rmtree(images / "no_test" / "test")
    (images / "empty" / "train" / "cat" / "1.png").unlink()
    shutil.copytree(images / "good", images / "corrupt")
    for split in ("train", "test"):
        path = images / "corrupt" / split / "cat" / "1.png"
        path.write_bytes(good[: len(good) // 2])


def _records(folder):
    """Data sets of TensorFlow Datasets, each damaged in another way."""
    import tensorflow_datasets as tfds

    # To be found by its files, not by this code.
    class Small(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        name = "small"

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(8, 8, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, manager):
            return {"train": self._examples(), "test": self._examples()}

        def _examples(self):
            for i in range(20):
                image = np.full((8, 8, 1), i, "uint8")
                yield i, {"image": image, "label": i % 10}

        _generate_examples = _examples

    whole = folder / "whole"
    Small(data_dir=str(whole)).download_and_prepare()
    for name, damage in _DAMAGES.items():
        shutil.copytree(whole, folder / name)
        damage(folder / name / "small" / "1.0.0")


def _change(name, change):
    """A function that changes the bytes of the files of such a name."""

    def damage(version):
        for path in version.glob(name):
            path.write_bytes(change(path.read_bytes()))

    return damage


def _replace(name, old, new):
    return _change(name, lambda content: content.replace(old, new))


_DAMAGES = {
    "corrupt": _change("*train*", lambda b: b[:40] + b"\xff" * 8 + b[48:]),
    "truncated": _change("*test*", lambda b: b[: len(b) // 2 + 3]),
    "empty": _change("*train*", lambda b: b""),
    "missing": lambda version: [p.unlink() for p in version.glob("*train*")],
    "no_info": lambda version: (version / "dataset_info.json").unlink(),
    "bad_info": _change("dataset_info.json", lambda b: b"{"),
    "no_features": lambda version: (version / "features.json").unlink(),
    "bad_features": _change("features.json", lambda b: b[:50]),
    "more": _replace("dataset_info.json", b'"20"', b'"21"'),
    "fewer": _replace("dataset_info.json", b'"20"', b'"19"'),
    "none": _replace("dataset_info.json", b'"20"', b'"0"'),
    "classes": _replace("features.json", b'"10"', b'"3"'),
    "words": _replace("features.json", b'"label"', b'"tag"'),
}


def _run(root):
    train.main(
        [
            "train",
            "--epochs=1",
            "--period=7",
            "--nojit_compile",
            f"--output_dir={root}/run",
        ]
    )


def _copy(root, name):
    """The results of the run without its model, under another name."""
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    for file in ("summary.json", "reallocations.csv", "model.keras"):
        shutil.copy(root / "run" / file, folder / file)
    return folder


def _summaries(root):
    summary = json.loads((root / "run" / "summary.json").read_text())
    kernels = summary["kernels"]
    for name, content in {
        "empty": "",
        "no_json": "{",
        "deep": "[" * 100_000,
        "list": "[1]",
        "number": "3",
        "binary": None,
        "nothing": "{}",
        "no_settings": {"settings": None},
        "list_dataset": {"settings": {"dataset": []}},
        "text_size": {"settings": {"dataset": "digits", "image_size": "9"}},
        "lost_data": {
            "settings": {"dataset": "small", "data_dir": f"{root}/data/missing"}
        },
        "text_accuracy": {"test_accuracy": "high"},
        "large_accuracy": {"test_accuracy": 2},
        "nan_accuracy": {"best_test_accuracy": float("nan")},
        "list_method": {"method": []},
        "no_parameters": {"num_parameters": 0},
        "no_bytes": {"saved_model_bytes": 0},
        "no_time": {"seconds_per_epoch": 0},
        "text_kernels": {"kernels": "fc1"},
        "no_kernel": {"kernels": [1]},
        "no_size": {"kernels": [{**kernels[0], "size": 0}]},
        "too_active": {"kernels": [{**kernels[0], "num_active": 10**9}]},
    }.items():
        path = _copy(root, name) / "summary.json"
        if content is None:
            path.write_bytes(b"\xff\xfe{}")
        elif isinstance(content, str):
            path.write_text(content)
        else:
            path.write_text(json.dumps({**summary, **content}))
    path = _copy(root, "folder") / "summary.json"
    path.unlink()
    path.mkdir()


def _moves(root):
    """Runs whose reallocations.csv is damaged."""
    good = (root / "run" / "reallocations.csv").read_text()
    header, row = good.splitlines()[:2]
    for name, content in {
        "no_rows": header + "\n",
        "no_file": None,
        "no_header": row + "\n",
        "short": f"{header}\n{row[: len(row) // 2]}\n",
        "words": f"{header}\n{row.replace(',', ',x', 99)}\n",
        "negative": f"{header}\n{row.replace(',', ',-', 99)}\n",
        "huge": f"{header}\n{row.replace(',', ',9999999', 99)}\n",
        "bytes": b"\xff\xfe" + good.encode(),
        "zeros": "\0" * 100,
        "backwards": "\n".join([header, row.replace("7", "9", 1), row]),
    }.items():
        path = _copy(root, f"moves_{name}") / "reallocations.csv"
        if content is None:
            path.unlink()
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)


def _models(root):
    folder = root / "models"
    folder.mkdir()
    (folder / "words.keras").write_text("no zip")
    (folder / "words.tflite").write_text("no flatbuffer")
    (folder / "words.onnx").write_text("no protobuf")
    (folder / "words").mkdir()
    (folder / "words" / "saved_model.pb").write_text("no proto")
    good = (root / "run" / "model.keras").read_bytes()
    (folder / "cut.keras").write_bytes(good[: len(good) // 2])
    (folder / "empty.keras").write_bytes(b"")
    (folder / "folder.keras").mkdir()
    for name, shape, units in (("flat", (5,), 10), ("two", (8, 8, 1), 2)):
        inputs = keras.Input(shape)
        x = keras.layers.Flatten()(inputs)
        model = keras.Model(inputs, keras.layers.Dense(units)(x))
        model.save(folder / f"{name}_classes.keras")
    pair = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    keras.Model(pair, keras.layers.Add()(pair)).save(folder / "pair.keras")
    inputs = keras.Input((None, None, 1))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    model.save(folder / "any_size.keras")
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    dsr_tf.export.saved_model(model, str(folder / "saved"))
