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


def test_several_act_one_after_another_and_leave_in_any_order():
    optimizer, weight = keras.optimizers.SGD(1.0), keras.Variable([4.0])
    optimizer.build([weight])
    called = []
    afters = [
        AfterUpdate(
            optimizer, optimizer, lambda step, rate, n=n: called.append(n)
        )
        for n in range(3)
    ]
    for after in [*afters, afters[0]]:
        after.install()
    assert [f.func for f in functions_of(optimizer)] == [
        after.function for after in afters
    ]
    for leaving, expected in ((1, [0, 1, 2]), (2, [0, 2]), (0, [0])):
        called.clear()
        optimizer.apply([keras.ops.ones(1)])
        assert called == expected
        afters[leaving].remove()
    assert "apply" not in vars(optimizer)
    np.testing.assert_array_equal(values(weight), [1.0])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_nothing_is_called_while_gradients_are_accumulated(jit_compile):
    import tensorflow as tf

    optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=3)
    weight, steps = keras.Variable([0.0]), tf.Variable([0, 0, 0])
    optimizer.build([weight])

    def note(step, rate):
        steps.assign_add(tf.one_hot(tf.cast(step, "int32"), 3, dtype="int32"))

    AfterUpdate(optimizer, optimizer, note).install()

    @tf.function(jit_compile=jit_compile)
    def update():
        optimizer.apply([tf.constant([1.0])])

    for _ in range(7):
        update()
    assert steps.numpy().tolist() == [1, 1, 0]
