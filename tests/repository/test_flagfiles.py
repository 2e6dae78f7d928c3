"""The flagfiles of the repository: they are valid, and as the paper says."""

import pathlib

import pytest
from absl import flags

from dsr_tf import command_line
from dsr_tf.training import experiment as experiments

ROOT = pathlib.Path(__file__).parents[2]
FLAGFILES = sorted(ROOT.glob("flags/**/*.flags"))


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda p: p.stem)
def test_flagfiles_are_valid(path):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse(
        flag_values, ["t", f"--flagfile={path}", "--output_dir=x"], ""
    )
    for name in ("initial_checkpoint", "copy_masks_from"):
        if "{" in (flag_values[name].value or ""):
            flag_values[name].value = "run"
    experiment = experiments.from_flags(flag_values)
    named = path.stem.startswith(experiment.method)
    if path.stem.startswith("masks_"):
        named = experiment.method == "static" and experiment.copy_masks_from
    assert named or path.stem in ("base", "long", "modern", "quickstart")


# Of Table 4: epochs, batch, learning rate, L1, L2, K, P.
TABLE_4 = {
    "lenet_mnist": (
        (100, 100),
        {0: 0.1, 25: 0.02, 50: 4e-3, 75: 8e-4},
        (1e-4, 0),
        600,
        {0: 100, 25: 200, 50: 400, 75: 800},
    ),
    "wrn28_2_cifar10": (
        (200, 100),
        {0: 0.1, 60: 0.02, 120: 4e-3, 160: 8e-4},
        (0, 5e-4),
        20_000,
        {0: 100, 25: 200, 80: 400, 140: 800},
    ),
    "resnet50_imagenet": (
        (100, 256),
        {0: 0.1, 30: 0.01, 60: 1e-3, 90: 1e-4},
        (0, 1e-4),
        200_000,
        {0: 1000, 25: 2000, 50: 4000, 75: 8000},
    ),
}


def experiment_of(folder, name):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    path = ROOT / "flags" / folder / f"{name}.flags"
    command_line.parse(
        flag_values, ["t", f"--flagfile={path}", "--output_dir=x"], ""
    )
    return experiments.from_flags(flag_values)


@pytest.mark.parametrize("name", TABLE_4)
def test_dsr_is_table_4(name):
    e = experiment_of(name, "dsr")
    size, rates, penalties, num_reallocated, period = TABLE_4[name]
    assert (e.epochs, e.batch_size) == size
    assert (e.momentum, e.nesterov) == (0.9, True)
    assert (e.l1, e.l2) == penalties
    assert (e.num_reallocated, e.tolerance, e.initial_threshold) == (
        num_reallocated,
        0.1,
        1e-3,
    )
    assert e.period.values == period
    assert e.learning_rate.values == rates


# Dense networks of the papers on pruning: network, updates, rate, L2.
_BY_HALVES = {0: 0.1, 80: 0.01, 120: 0.001}
PRUNED = {
    "resnet20_cifar10/dense": (
        ("resnet_cifar", 20, None),
        (164, 128, False),
        {0: 0.1, 82: 0.01, 123: 0.001},
        1e-4,
    ),
    "resnet56_cifar10/dense": (
        ("resnet_cifar", 56, None),
        (160, 64, False),
        _BY_HALVES,
        1e-4,
    ),
    "vgg16_cifar10/dense": (
        ("vgg_cifar", 16, 0.5),
        (160, 64, False),
        _BY_HALVES,
        1e-4,
    ),
    "vgg19_cifar10/dense": (
        ("vgg_cifar", 19, 0.5),
        (160, 64, True),
        _BY_HALVES,
        1e-4,
    ),
    "mlp_mnist/dense": (
        ("mlp", None, 0.5),
        (30, 256, True),
        {0: 0.1, 10: 0.01, 20: 0.001},
        1e-4,
    ),
    "mlp_mnist/dense_ssl": (
        ("mlp", None, None),
        (21, 64, False),
        {0: 0.01, 11: 1e-3, 15: 1e-4, 19: 1e-5},
        5e-4,
    ),
    "lenet5_mnist/dense": (
        ("lenet_5", None, None),
        (11, 64, False),
        {
            epoch: round(0.01 * (1 + 1e-4 * 937 * (epoch + 0.5)) ** -0.75, 5)
            for epoch in range(11)
        },
        5e-4,
    ),
}


@pytest.mark.parametrize("path", PRUNED)
def test_dense_networks_are_those_of_the_papers(path):
    e = experiment_of(*path.split("/"))
    network, size, rates, decay = PRUNED[path]
    assert (e.model, e.depth, e.initial_gamma) == network
    assert (e.epochs, e.batch_size, e.nesterov) == size
    assert e.learning_rate.values == rates
    assert (e.momentum, e.l1, e.l2) == (0.9, 0, decay)
    assert e.batch_normalization == (path != "mlp_mnist/dense_ssl")
    assert e.augmentation == ("crop_flip" if "cifar" in path else "none")
