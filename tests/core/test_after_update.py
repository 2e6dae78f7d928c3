"""What is called after an update knows the update that it comes after."""

import keras
import numpy as np
import pytest

from dsr_tf.core.after_update import AfterUpdate
from dsr_tf.core.after_update import functions_of
from tests.conftest import needs_tensorflow
from tests.conftest import values

pytestmark = needs_tensorflow


@pytest.mark.parametrize("jit_compile", [False, True])
def test_step_and_rate_are_those_of_the_update(jit_compile):
    import tensorflow as tf

    rate = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.25])
    optimizer = keras.optimizers.SGD(rate)
    weight = keras.Variable([1.0])
    optimizer.build([weight])
    steps, rates = tf.Variable([-1, -1]), tf.Variable([0.0, 0.0])

    def note(step, rate):
        place = tf.cast(step, "int32") - tf.constant([0, 1]) == 0
        steps.assign(tf.where(place, tf.cast(step, "int32"), steps))
        rates.assign(tf.where(place, rate, rates))

    after = AfterUpdate(optimizer, optimizer, note)
    after.install()

    @tf.function(jit_compile=jit_compile)
    def update():
        optimizer.apply([tf.constant([1.0])])

    update(), update()
    assert steps.numpy().tolist() == [0, 1]
    assert rates.numpy().tolist() == [1.0, 0.25]
    np.testing.assert_array_equal(values(weight), [1 - 1 - 0.25])
    assert len(functions_of(optimizer)) == 1
    after.remove()
    assert functions_of(optimizer) == []
    optimizer.apply([tf.constant([1.0])])
    assert steps.numpy().tolist() == [0, 1]
