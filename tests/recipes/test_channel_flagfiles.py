"""Flagfiles of the methods that narrow make the networks of the papers."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from dsr_tf import command_line
from dsr_tf import recipes
from dsr_tf import structure
from dsr_tf.comparison.plan import plan
from dsr_tf.recipes.network import Network
from dsr_tf.structure.choice.amount import numbers_kept
from dsr_tf.training import experiment as experiments

ROOT = pathlib.Path(__file__).parents[2] / "flags"


def experiment_of(name, *more):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    arguments = [f"--flagfile={ROOT}/{name}.flags", "--output_dir=x"]
    arguments += ["--initial_checkpoint=run", *more]
    command_line.parse_flags(flag_values, "t", arguments)
    return experiments.from_flags(flag_values)


def noise(image_shape, number):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(number, *image_shape)).astype("float32")
    labels = np.zeros(number, "int32")
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(100)


def narrowed(name, image_shape, *more, images=None):
    """The network that a flagfile makes of one that is not trained."""
    experiment = experiment_of(name, *more)
    dense = Network(experiment, image_shape, 10).build(experiment.width)
    recipe = recipes.get(experiment.method)
    return recipe.prepare(experiment, dense, images)


@pytest.mark.parametrize(
    "name, image_shape, parameters",
    [
        # 784-100-60-10, of Network Slimming's Table 3.
        ("mlp_mnist/slimming", (28, 28, 1), 78400 + 6000 + 600 + 10 + 320),
        ("vgg16_cifar10/l1_filters", (32, 32, 3), 5397034),
        pytest.param(
            *("resnet56_cifar10/l1_filters_a", (32, 32, 3), 773336),
            marks=pytest.mark.slow,
        ),
        ("resnet56_cifar10/l1_filters_b", (32, 32, 3), 735712),
    ],
)
def test_as_in_the_papers(name, image_shape, parameters):
    model = narrowed(name, image_shape)
    assert structure.cost(model).parameters == parameters


@pytest.mark.parametrize(
    "method", ["l1_filters", "thinet", "lasso", "pfa", "brain_damage"]
)
def test_mnist_as_many_as_network_slimming(method):
    model = narrowed(
        f"mlp_mnist/{method}", (28, 28, 1), images=noise((28, 28, 1), 600)
    )
    parameters = structure.active_cost(model).parameters
    # The budget of one that chooses the numbers itself: less than a unit off.
    assert 85330 - 786 - 300 < parameters <= 85330
    if method not in ("pfa", "brain_damage"):
        assert parameters == 85330


@pytest.mark.parametrize(
    "method",
    [
        "slimming",
        pytest.param("l1_filters", marks=pytest.mark.slow),
        pytest.param("ssl", marks=pytest.mark.slow),
        pytest.param("brain_damage", marks=pytest.mark.slow),
        pytest.param("pfa", marks=pytest.mark.slow),
        pytest.param("thinet", marks=pytest.mark.slow),
        pytest.param("lasso", marks=pytest.mark.slow),
    ],
)
def test_as_many_parameters_as_a_sparse_network(method):
    """WRN-28-2 with a tenth of the weights in masked kernels."""
    name, shape = f"wrn28_2_cifar10/{method}", (32, 32, 3)
    model = narrowed(name, shape, images=noise(shape, 150))
    assert 160_500 < structure.active_cost(model).parameters <= 161_242


def test_thinet_of_resnet_50():
    """Which channels go takes long to say; how many does not."""
    experiment = experiment_of("resnet50_imagenet/thinet_30")
    with tf.Graph().as_default():
        network = Network(experiment, (224, 224, 3), 1000)
        found = structure.Structure(network.build(1.0))
    sets = [x for x in found.sets if x.kind == "inner" and "conv" in x.name]
    assert len(sets) == 32
    for number, parameters in ((30, 8665318), (50, 12381864), (70, 16945246)):
        experiment = experiment_of(f"resnet50_imagenet/thinet_{number}")
        recipe = recipes.get(experiment.method)
        assert recipe.name == "thinet"
        _, share = recipe.amount(experiment, found.model)
        numbers = numbers_kept(found, sets, share)
        keep = {x.name: np.arange(x.num_units) < numbers[x.name] for x in sets}
        assert found.cost(keep).parameters == parameters


@pytest.mark.parametrize(
    "folder, names",
    [
        ("mlp_mnist", ["dense_ssl", "ssl_penalty", "ssl"]),
        ("mlp_mnist", ["dense", "brain_damage_penalty", "brain_damage"]),
        ("wrn28_2_cifar10", ["dense", "ssl_penalty", "ssl", "thinet"]),
        ("resnet50_imagenet", ["dense", "thinet_30", "lasso"]),
    ],
)
def test_a_comparison_plans_both_phases(folder, names):
    """Each from the run before it, a dense one or its own first phase."""
    files = [f"{ROOT}/{folder}/{name}.flags" for name in names]
    runs = plan(files, [1], [0.5, 0.1], "out", [])
    for name in names:
        own = [run for run in runs if run.name == name]
        is_dense, first = name.startswith("dense"), f"{name}_penalty"
        needed = {first if first in names else names[0]}
        if is_dense:
            needed = set()
        for run in own:
            assert {path[4:].rpartition("-")[0] for path in run.needs} == needed
        # Some meet the densities, others budgets of their own.
        has_density = folder.startswith("wrn") and not (
            is_dense or name.endswith("penalty")
        )
        assert len(own) == (2 if has_density else 1)
