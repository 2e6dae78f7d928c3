"""What XLA compiles for each of several replicas, as on GPUs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dsr_tf import methods
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation import agreement
from dsr_tf.reallocation import reallocator as reallocators
from dsr_tf.reallocation.agreement import Agreement
from dsr_tf.reallocation.agreement import ReplicasDiffer
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import assert_same
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import values

pytestmark = needs_tensorflow


@pytest.fixture(params=[False, True], ids=["operations", "XLA"])
def jit_compile(request, monkeypatch):
    for module in (reallocators, agreement):
        monkeypatch.setattr(module, "is_on_gpu", lambda: request.param)
    return request.param


def moved(method, strategy):
    """A model of which groups have moved three times, with random weights
    and slots before each."""
    generator = np.random.default_rng(0)
    with strategy.scope():
        model = make_model(keras.optimizers.Adam(0.1), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
    optimizer = model.optimizer
    reallocator = Reallocator(model, method)
    reallocator.check(optimizer)
    for step in (1, 2, 3):
        for variable in [*model.trainable_variables, *optimizer.variables[2:]]:
            variable.assign(generator.normal(size=variable.shape))
        assert reallocator.step(optimizer, step).num_grown > 5
    return [*model.variables, *optimizer.variables]


@pytest.mark.parametrize(
    "method",
    [
        methods.DSR(20, initial_threshold=0.3),
        methods.DSR(20, initial_threshold=0.3, start_magnitude=0.1),
        methods.SNFS(0.3, 100),
    ],
    ids=["DSR", "start_magnitude", "SNFS"],
)
def test_replicas_move_as_one_device(method, jit_compile):
    """To the bit: masks, weights, slots and state."""
    one = moved(method, tf.distribute.get_strategy())
    two = moved(method, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    for replica in range(2):
        copies = [values(v.value.values[replica]) for v in two]
        assert_same([values(v) for v in one], copies)


def test_checksums_tell_masks_apart(jit_compile):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = make_model(jit_compile=False)
    masked = masked_weights(model)
    Agreement(model, masked).check()
    copy = masked[1].mask.value.values[1]
    copy.assign(tf.roll(copy, 1, axis=0))
    with pytest.raises(ReplicasDiffer, match="the masks of b/kernel diff"):
        Agreement(model, masked).check()
