"""What tests of layers are given."""

import numpy as np
import pytest

from tests.layers.kinds import KINDS


@pytest.fixture(params=KINDS)
def kind(request):
    """A function that makes a layer, and inputs for it."""
    make, shape = KINDS[request.param]
    if shape is None:
        return make, np.arange(8).reshape(2, 4)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    return make, x
