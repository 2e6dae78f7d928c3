"""What papers print of pruned networks follows from their structure alone."""

import keras
import numpy as np
import pytest

from dsr_tf import models
from dsr_tf import structure
from tests.structure import networks


def first(num_units, num_kept):
    return np.arange(num_units) < num_kept


def kept_of_resnet_56(shares, skipped):
    """Li et al. (2016): the convolution that has such a number, counted from
    1, is the first of a block where the number is even."""
    keep = {}
    for stage, share in enumerate(shares):
        for block in range(9):
            if 2 * (9 * stage + block + 1) not in skipped:
                channels = 16 * 2**stage
                name = f"group{stage + 1}_block{block + 1}_conv1"
                keep[name] = first(channels, int(channels * (1 - share)))
    return keep


@pytest.mark.parametrize(
    ("shares", "skipped", "parameters", "macs"),
    [
        ((0, 0, 0), (), 853018, 125485696),
        ((0.1, 0.1, 0.1), (16, 20, 38, 54), 773336, 112.4e6),
        ((0.6, 0.3, 0.1), (16, 18, 20, 34, 38, 54), 735712, 90.9e6),
    ],
)
def test_resnet_56(shares, skipped, parameters, macs):
    model = models.resnet_cifar(depth=56)
    cost = structure.cost(model, kept_of_resnet_56(shares, skipped))
    assert cost.parameters == parameters
    assert cost.macs == pytest.approx(macs, rel=5e-4)


def test_vgg_16():
    model = models.vgg_cifar(depth=16)
    assert structure.cost(model).parameters == 14987722
    assert structure.cost(model).macs == pytest.approx(313.5e6, rel=5e-4)
    halved = ["conv1", *(f"conv{i}" for i in range(8, 14))]
    keep = {
        x.name: first(x.num_units, x.num_units // 2)
        for x in structure.channel_sets(model)
        if x.name in halved
    }
    cost = structure.cost(model, keep)
    assert cost.parameters == 5397034
    assert cost.macs == pytest.approx(206.3e6, rel=5e-4)


def test_vgg_19():
    cost = structure.cost(models.vgg_cifar(depth=19))
    assert cost.parameters == 20035018
    assert cost.macs == pytest.approx(398.1e6, rel=5e-4)


@pytest.mark.parametrize(
    ("share", "parameters"),
    [
        (0.5, 12381864),
        # As by flagfiles, in `tests/recipes/test_channel_flagfiles.py`.
        pytest.param(0.3, 8665318, marks=pytest.mark.slow),
        pytest.param(0.7, 16945246, marks=pytest.mark.slow),
    ],
)
def test_resnet_50(share, parameters):
    """ThiNet (Luo et al., 2017): both widths inside of each block."""
    found = structure.Structure(models.resnet50())
    keep = {
        x.name: first(x.num_units, int(x.num_units * share))
        for x in found.sets
        if x.kind == "inner" and x.name != "stem"
    }
    assert len(keep) == 32
    # (Its MACs are not those of the paper, where the convolutions of 1x1 have
    # the strides.)
    assert found.cost(keep).parameters == parameters


@pytest.mark.parametrize(
    ("widths", "size"),
    [
        ((784, 500, 300), 545000),
        ((784, 100, 60), 85000),
        ((434, 174, 78), 89868),
    ],
)
def test_mlp(widths, size):
    """Table 3 of Liu et al. (2017), for Network Slimming and SSL."""
    model = models.mlp()
    found = structure.Structure(model, selections=True)
    names = [x.name for x in found.sets]
    assert [x.num_units for x in found.sets] == [784, 500, 300]
    keep = {
        name: first(all_of_them, kept)
        for name, all_of_them, kept in zip(names, (784, 500, 300), widths)
    }
    narrowed = structure.narrow(model, keep)
    kernels = [v for v in narrowed.variables if v.name == "kernel"]
    assert sum(int(np.prod(v.shape)) for v in kernels) == size
    assert found.cost(keep).macs == size


@pytest.fixture
def float64():
    """Sums of float32 in another order differ by some 1e-6 of the largest."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("name", "num_sets", "num_units"),
    [
        ("ResNet50", 37, 11456),
        ("MobileNetV2", 25, None),
        ("DenseNet121", 120, None),
        ("EfficientNetB0", 40, None),
        ("ConvNeXtTiny", 18, None),
        ("MobileNetV3Small", 27, None),
        ("Xception", 28, None),
        ("NASNetMobile", 128, None),
        ("InceptionV3", 94, None),
    ],
)
def test_applications(name, num_sets, num_units):
    options = {"input_shape": (224, 224, 3)} if "V3Small" in name else {}
    model = getattr(keras.applications, name)(weights=None, **options)
    found, _, _ = networks.check_narrow(model, tolerance=1e-12, batch=1)
    assert len(found.sets) == num_sets
    if num_units is not None:
        assert sum(x.num_units for x in found.sets) == num_units
    if "Res" in name or "Mobile" in name:
        networks.check_narrow(model, selections=True, tolerance=1e-12, batch=1)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_networks_of_the_paper():
    for build in (models.lenet_300_100, models.wrn_28_2, models.resnet50):
        for selections in (False, True):
            # Their logits are float32 all the same.
            networks.check_narrow(
                build(), selections=selections, tolerance=1e-6
            )
