"""The paper's convolutional networks at full size, a few steps each."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from dsr_tf.commands import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve photographs of noise, of different sizes."""
    root = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 2)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                shape = (*generator.integers(30, 50, 2), 3)
                pixels = generator.integers(0, 256, shape, "uint8")
                path = root / split / name / f"{number}.jpg"
                path.write_bytes(tf.io.encode_jpeg(pixels).numpy())
    return root


def run(folder, flagfile, *more):
    train.main(
        [
            "train",
            f"--flagfile=flags/{flagfile}.flags",
            "--epochs=1",
            "--nojit_compile",
            f"--output_dir={folder}",
            *more,
        ]
    )
    return json.loads((folder / "summary.json").read_text())


def by_hand(name):
    """A case that is left out where time counts."""
    return pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "method",
    [
        by_hand("dsr_kernel"),
        by_hand("hashed"),
        by_hand("deep_r"),
        by_hand("rigl"),
        by_hand("thin"),
        by_hand("set"),
        by_hand("static"),
        by_hand("dsr_modern"),
    ],
)
def test_wrn_28_2(method, tmp_path):
    """On 8x8 pixels, in two batches of 700."""
    summary = run(
        tmp_path / "run",
        f"wrn28_2_cifar10/{method}",
        "--dataset=digits",
        "--batch_size=700",
        "--period=1",
    )
    # The stem sees one colour here instead of three.
    assert summary["num_parameters"] == 1_467_610 - 288 or method in (
        "thin",
        "hashed",
    )
    active = 161_242 - 288
    if method == "thin":
        assert 0.97 * active < summary["num_active_parameters"] <= active
    elif method == "hashed":
        # Each kernel's bank is rounded by itself.
        assert abs(summary["num_active_parameters"] - active) <= 12
    elif method == "dsr_modern":
        # All kernels are sparse, the stem (432 less 288), shortcuts and logits.
        masked = 1_451_520 + 144 + 512 + 2048 + 8192 + 1280
        assert summary["num_active_parameters"] == (
            1_467_610 - 288 - masked + round(0.1 * masked)
        )
    else:
        assert summary["num_active_parameters"] == active
        assert summary["num_reallocations"] == (method != "static")
    assert np.isfinite(summary["test_accuracy"])


@pytest.mark.parametrize("flagfile", [by_hand("dsr"), by_hand("rigl_modern")])
def test_resnet50(flagfile, folder, tmp_path):
    """On streamed images, with the recipes of the paper and of today."""
    summary = run(
        tmp_path / "run",
        f"resnet50_imagenet/{flagfile}",
        "--dataset=image_folder",
        f"--data_dir={folder}",
        "--image_size=32",
        "--batch_size=4",
        "--period=1",
    )
    # Two classes instead of a thousand.
    assert summary["num_parameters"] == 25_557_032 - 998 * 2049
    dense = 25_557_032 - 22_724_608 - 998
    masked = 22_724_608 - 998 * 2048
    if flagfile == "rigl_modern":
        stem_and_shortcuts = 2_778_304
        masked += stem_and_shortcuts
        dense -= stem_and_shortcuts
    budget = round(0.1 * masked)
    assert summary["num_active_parameters"] == dense + budget
    with open(tmp_path / "run" / "reallocations.csv") as file:
        (row,) = csv.DictReader(file)
    assert int(row["num_active"]) == budget
