"""What whole networks cost, against published counts; what is refused."""

import math

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf import models
from dsr_tf.core.budget import Budget
from dsr_tf.core.distribution import Distribution


@pytest.fixture(scope="module")
def resnet():
    return models.resnet50()


def test_networks_of_papers(resnet):
    """ResNet-50 at 224 x 224 (He et al., 2015, with the strides in the
    convolutions of 3 x 3): 4.09 GMACs; WRN-28-2: 1.5 million parameters."""
    found = dsr_tf.cost(resnet)
    assert found.num_macs == pytest.approx(4.09e9, rel=1e-3)
    assert found.num_parameters == 25557032
    assert not found.uncounted
    # No paper prints those of WRN-28-2: layer by layer, from its layout.
    # (3 x 3 kernels, and those of 1 x 1 beside the first of each group.)
    wide = dsr_tf.cost(models.wrn_28_2())
    stem = 32 * 32 * 27 * 16
    first = 32 * 32 * (9 * 32 * (16 + 7 * 32) + 16 * 32)
    second = 16 * 16 * (9 * 64 * (32 + 7 * 64) + 32 * 64)
    third = 8 * 8 * (9 * 128 * (64 + 7 * 128) + 64 * 128)
    assert wide.num_macs == stem + first + second + third + 128 * 10


@pytest.mark.parametrize(
    ("distribution", "sparsity", "published"),
    [("uniform", 0.8, 0.23), ("erk", 0.8, 0.42), ("erk", 0.9, 0.24)],
)
def test_sparse_networks_of_papers(resnet, distribution, sparsity, published):
    """ResNet-50 of Evci et al. (2020), Figure 2: FLOPs of a test, dense = 1.

    Of uniform ones the first layer stays dense.
    """
    kernels = [v for v in resnet.trainable_variables if len(v.shape) > 1]
    if distribution == "uniform":
        del kernels[0]
    sizes = [math.prod(kernel.shape) for kernel in kernels]
    num_active = Distribution(distribution)(
        [kernel.path for kernel in kernels],
        [kernel.shape for kernel in kernels],
        [1] * len(kernels),
        Budget(round((1 - sparsity) * sum(sizes)), "sparsity"),
    )
    found = dsr_tf.cost(resnet)
    by_path = {layer.path: layer.num_macs for layer in found.layers}
    left = found.num_macs
    for kernel, size, active in zip(kernels, sizes, num_active, strict=True):
        macs = by_path[kernel.path.removesuffix("/kernel")]
        left -= macs * (size - active) // size
    assert left / found.num_macs == pytest.approx(published, abs=0.01)


def test_what_nobody_counts_is_named():
    class Own(layers.Dense):
        pass

    model = keras.Sequential(
        [keras.Input((4,)), Own(5, name="own"), layers.Dense(3)]
    )
    found = dsr_tf.cost(model)
    assert found.uncounted == ("own",)
    assert found.num_macs == 15 and found.num_parameters == 25 + 18
    assert found.layers[0].num_macs is None
    assert "MACs are not known of: own" in str(found)
    # A part is not taken for the whole; what is known of kernels is told.
    sparse = dsr_tf.sparsity_summary(dsr_tf.sparsify(model, 0.5, seed=0))
    assert sparse.num_macs is sparse.num_active_macs is None
    assert [x.num_active_macs for x in sparse.layers] == [8]
    note = "–: MACs that are not known; `dsr_tf.cost` names their layers"
    assert note in " ".join(str(sparse).split())
    counted = dsr_tf.sparsity_summary(models.lenet_300_100())
    assert "MACs" in str(counted) and "–" not in str(counted)


def test_a_summary_without_a_graph_has_no_macs():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = dsr_tf.layers.SparseDense(3, sparsity=0.5, seed=0)

        def call(self, inputs):
            return self.dense(inputs)

    model = Own()
    model(np.ones((1, 4), "float32"))
    summary = dsr_tf.sparsity_summary(model)
    assert summary.num_macs is summary.num_active_macs is None
    assert summary.num_active == 6 and "MACs" not in str(summary)


def test_refusals():
    with pytest.raises(TypeError, match="Received: model=3"):
        dsr_tf.cost(3)

    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="graph of layers"):
        dsr_tf.cost(Own())
