"""Every method through `dsr_tf.train`: it runs, repeats and resumes."""

import json

import keras
import numpy as np
import pytest
from absl import flags

import dsr_tf
from dsr_tf import command_line
from dsr_tf import layers
from dsr_tf.commands import train
from dsr_tf.models import lenet_300_100
from dsr_tf.training import checkpoint
from dsr_tf.training import experiment as experiments
from dsr_tf.training.run import Run
from tests.conftest import values
from tests.training import left_behind

FLAGS = [
    "--dataset=digits",
    "--epochs=3",
    "--l1=0.0001",
    "--sparsity=0.9",
    "--num_reallocated=300",
    "--period=7",
    "--temperature=1e-5",
    "--pruning_hparams=pruning_frequency=7,sparsity_function_end_step=28",
    # Else it would follow the number of epochs, which differs below.
    "--fraction_end_epoch=3",
    "--seed=5",
    "--checkpoints_to_keep=9",
    # Compiling takes longer than these runs, as does a loop over steps.
    "--nojit_compile",
    "--steps_per_execution=1",
]
# That of dsr is resumed in `test_run.py`.
OFTEN = ("rigl",)
PATTERNS = ("rigl", "gradual", "static")
BY_HAND = ("deep_r", "dsr", "gradual", "static", "set", "snfs")


def run(folder, *more):
    train.main(["train", *FLAGS, f"--output_dir={folder}", *more])
    return json.loads((folder / "summary.json").read_text())


def built(folder, *more):
    """The network that such a run would train."""
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    arguments = [*FLAGS, f"--output_dir={folder}", *more]
    command_line.parse_flags(flag_values, "train", arguments)
    return Run(experiments.from_flags(flag_values)).model


def load(folder):
    return keras.models.load_model(folder / "model.keras", compile=False)


@pytest.mark.parametrize(
    "method",
    [*OFTEN, *(pytest.param(m, marks=pytest.mark.slow) for m in BY_HAND)],
)
def test_repeats_and_resumes(method, tmp_path):
    check_resuming(method, tmp_path)


def test_batches_that_are_no_updates(tmp_path):
    """In float16 gradients overflow at first, and the run goes on."""
    check_resuming("dsr", tmp_path, "--mixed_precision=float16")
    newest = checkpoint.read(checkpoints(tmp_path / "whole")[-1])
    assert newest.num_batches == 42 > newest.step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("dsr", []),
        ("dsr", ["--jit_compile"]),
        ("deep_r", []),
        ("snfs", ["--mixed_precision=bfloat16"]),
        ("rigl", ["--storage=lists"]),
    ],
)
def test_adamw_repeats_and_resumes(method, more, tmp_path):
    check_resuming(
        method,
        tmp_path,
        "--optimizer=adamw",
        "--learning_rate=0.002",
        "--weight_decay=0.1",
        *more,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "method, hparams",
    [
        (
            "rnn_pruning",
            "q=[fc1:0.09,fc2:0.04],start=2,ramp=20,end=40,frequency=7",
        ),
        ("std_threshold", "quality=[fc1:0.7,fc2:0.5],frequency=7,end=30"),
    ],
    ids=["rnn_pruning", "std_threshold"],
)
def test_pruning_by_thresholds_repeats_and_resumes(method, hparams, tmp_path):
    trained = check_resuming(method, tmp_path, f"--pruning_hparams={hparams}")
    for weight in layers.masked_weights(trained)[:2]:
        assert 0.1 < weight.num_active / weight.size < 0.8


@pytest.mark.slow
def test_growth_and_pruning_repeat_and_resume(tmp_path):
    hparams = "frequency=3,grow_steps=4,prune_share=0.1,target=0.9"
    trained = check_resuming(
        "nest",
        tmp_path,
        f"--pruning_hparams={hparams}",
        "--num_examples=100",
        "--sparsity=0.5",
    )
    # It has grown by four units, and been pruned.
    mask = values(layers.masked_weights(trained)[0].mask)
    assert 100 < mask.any(axis=0).sum() <= 124
    assert values(layers.masked_weights(trained)[0].layer.num_held)[0]


@pytest.mark.parametrize(
    "method",
    ["set", *(pytest.param(m, marks=pytest.mark.slow) for m in PATTERNS)],
)
def test_patterns(method, tmp_path):
    """The same with 2 of every 4 weights active."""
    flags = ["--granularity=2:4", "--sparsity=0.5", "--num_reallocated=3000"]
    trained = check_resuming(method, tmp_path, *flags)
    for weight in layers.masked_weights(trained):
        bundles = weight.grouping.pattern.bundles(values(weight.mask))
        assert (bundles.sum(axis=1) == 2).all()


def checkpoints(folder):
    """Those of a run, in the order of their steps."""
    files = (folder / "checkpoints").glob("step-*.npz")
    return sorted(files, key=lambda file: int(file.stem.split("-")[1]))


def check_resuming(method, tmp_path, *flags):
    """Run at once, and again from the 20th batch of 42.

    Returns:
        The model that was trained.
    """
    arguments = [f"--method={method}", "--checkpoint_every_steps=10", *flags]
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    assert run(whole, *arguments)["test_accuracy"] > 0.6
    left_behind.after(20, whole, halved)
    run(halved, *arguments, "--resume")
    if method != "static":
        tables = [
            (folder / "reallocations.csv").read_text()
            for folder in (whole, halved)
        ]
        assert tables[0] == tables[1]
        assert tables[0].count("\n") > 3
    trained = load(whole)
    for a, b in zip(trained.variables, load(halved).variables):
        np.testing.assert_array_equal(a, b)
    return trained


def test_parameters_of_all_methods(tmp_path):
    """As many for each way of saving weights, thin ones at most."""
    counts = {
        method: dsr_tf.sparsity_summary(
            built(tmp_path / method, f"--method={method}")
        ).num_active_parameters
        for method in ("thin", "hashed", "static")
    }
    assert counts["static"] == counts["hashed"] == 5020 + 820
    assert 0.9 * 5840 < counts["thin"] <= 5840


def test_gradual_pruning_starts_from_a_dense_run(tmp_path):
    run(tmp_path / "dense", "--method=dense")
    summary = run(
        tmp_path / "pruned",
        "--method=gradual",
        f"--initial_checkpoint={tmp_path / 'dense'}",
        "--learning_rate=0.001",
    )
    assert summary["mask_density"] == 0.1
    assert summary["test_accuracy"] > 0.75
    # It is one network: the weights that stay are those that were.
    dense = np.asarray(load(tmp_path / "dense").get_layer("fc1").kernel)
    pruned = load(tmp_path / "pruned").get_layer("fc1")
    mask = np.asarray(pruned.mask)
    kept = np.abs(dense)[mask].mean()
    assert kept > 2 * np.abs(dense)[~mask].mean()


@pytest.mark.parametrize(
    "weights", [pytest.param("new", marks=pytest.mark.slow), "original"]
)
def test_masks_of_another_run(weights, tmp_path):
    """At a learning rate of almost 0, weights are those of the start."""
    run(tmp_path / "dsr", "--method=dsr")
    for name, seed in (("same", 5), ("other", 6)):
        summary = run(
            tmp_path / name,
            "--method=static",
            f"--copy_masks_from={tmp_path / 'dsr'}",
            f"--initial_weights={weights}",
            f"--seed={seed}",
            "--learning_rate=1e-30",
            "--epochs=1",
        )
        assert summary["mask_density"] == 0.1
    keras.utils.set_random_seed(5)
    initial = lenet_300_100(input_shape=(8, 8, 1), l1=1e-4)
    source, same, other = (
        layers.masked_weights(load(tmp_path / name))
        for name in ("dsr", "same", "other")
    )
    for theirs, a, b in zip(source, same, other):
        np.testing.assert_array_equal(theirs.mask, a.mask)
        np.testing.assert_array_equal(theirs.mask, b.mask)
        name = theirs.path.split("/")[0]
        drawn = np.asarray(initial.get_layer(name).kernel) * np.asarray(a.mask)
        is_initial = [np.array_equal(w.kernel, drawn) for w in (a, b)]
        assert is_initial == (
            [True, True] if weights == "original" else [False] * 2
        )
        if weights == "new":
            assert not np.array_equal(a.kernel, b.kernel)


def test_a_width(tmp_path):
    model = built(tmp_path / "run", "--method=dense", "--width=0.5")
    summary = dsr_tf.sparsity_summary(model)
    assert summary.num_parameters == 64 * 150 + 150 * 50 + 500 + 2 * 210


def test_a_parameter_budget(tmp_path):
    model = built(tmp_path / "run", "--method=thin", "--parameter_budget=20000")
    summary = dsr_tf.sparsity_summary(model)
    assert 19000 < summary.num_parameters <= 20000


def test_sparsities_by_name(tmp_path):
    model = built(
        tmp_path / "run",
        "--method=static",
        "--distribution=fc3:0.5,fc2:0.95",
    )
    weights = layers.masked_weights(model)
    assert [w.num_active for w in weights] == [5020 - 1500 - 500, 1500, 500]
