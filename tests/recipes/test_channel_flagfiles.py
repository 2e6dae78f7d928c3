"""Flagfiles of the methods that narrow make the networks of the papers."""

import pathlib

import pytest
from absl import flags

from dsr_tf import command_line
from dsr_tf import recipes
from dsr_tf import structure
from dsr_tf.recipes.network import Network
from dsr_tf.training import experiment as experiments

ROOT = pathlib.Path(__file__).parents[2] / "flags"


def narrowed(name, image_shape):
    """The network that a flagfile makes of one that is not trained."""
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    arguments = [f"--flagfile={ROOT}/{name}.flags", "--output_dir=x"]
    arguments += ["--initial_checkpoint=run"]
    command_line.parse_flags(flag_values, "t", arguments)
    experiment = experiments.from_flags(flag_values)
    dense = Network(experiment, image_shape, 10).build(experiment.width)
    recipe = recipes.get(experiment.method)
    return recipe.prepare(experiment, dense, None)


@pytest.mark.parametrize(
    "name, image_shape, parameters",
    [
        # 784-100-60-10, of Network Slimming's Table 3.
        ("mlp_mnist/slimming", (28, 28, 1), 78400 + 6000 + 600 + 10 + 320),
        ("vgg16_cifar10/l1_filters", (32, 32, 3), 5397034),
        ("resnet56_cifar10/l1_filters_a", (32, 32, 3), 773336),
        ("resnet56_cifar10/l1_filters_b", (32, 32, 3), 735712),
    ],
)
def test_as_in_the_papers(name, image_shape, parameters):
    model = narrowed(name, image_shape)
    assert structure.cost(model).parameters == parameters


def test_as_many_parameters_as_a_sparse_network():
    """WRN-28-2 with a tenth of the weights in masked kernels."""
    model = narrowed("wrn28_2_cifar10/l1_filters", (32, 32, 3))
    assert 160_500 < structure.cost(model).parameters <= 161_242
