"""MobileNet: counts of its paper, and which kernels have masks."""

import keras
import numpy as np
import pytest

from dsr_tf import models
from dsr_tf import structure
from tests.models.test_convolutional import sparse_summary


@pytest.mark.parametrize("width", [1, 0.5])
def test_as_many_parameters_as_that_of_keras(width):
    model = models.mobilenet(width=width)
    theirs = keras.applications.MobileNet(alpha=width, weights=None)
    assert model.count_params() == theirs.count_params()


def test_multiply_adds():
    """569 million in the paper's Table 4."""
    assert structure.cost(models.mobilenet()).macs == 568_740_352


def test_masks_are_on_convolutions_of_1x1():
    summary = sparse_summary("mobilenet", 0.9)
    assert summary.num_parameters == 4_231_976
    assert len(summary.layers) == 13
    assert all(layer.shape[:2] == (1, 1) for layer in summary.layers)
    assert summary.num_masked == 3_139_584
    assert summary.num_active == 313_958


def test_initial_weights_of_depthwise_convolutions():
    layer = models.mobilenet().get_layer("block13_depthwise")
    kernel = np.asarray(layer.kernel)
    assert kernel.shape == (3, 3, 1024, 1)
    assert kernel.std() == pytest.approx(np.sqrt(2) / 3, rel=0.03)
    assert (np.abs(kernel) > np.sqrt(2)).any()
