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


@pytest.mark.parametrize("name", TABLE_4)
def test_dsr_is_table_4(name):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    path = ROOT / "flags" / name / "dsr.flags"
    command_line.parse(
        flag_values, ["t", f"--flagfile={path}", "--output_dir=x"], ""
    )
    e = experiments.from_flags(flag_values)
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
