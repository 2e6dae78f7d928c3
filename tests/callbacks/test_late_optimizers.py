"""Optimizers of which only a step says what they train."""

import keras
import pytest
from keras import ops

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import GrowAndPrune
from dsr_tf.callbacks import Reallocation
from dsr_tf.callbacks import ThresholdPruning
from dsr_tf.pruning import StdThreshold
from tests.callbacks.shared import fit
from tests.callbacks.shared import momentum
from tests.conftest import make_model
from tests.conftest import needs_tensorflow

# Of each, the first change is due after update 5.
CALLBACKS = {
    "set": lambda data, **given: Reallocation(methods.SET(0.2), 5, **given),
    "snfs": lambda data, **given: Reallocation(
        methods.SNFS(0.2, None), 5, **given
    ),
    "gradual": lambda data, **given: GradualPruning(
        target_sparsity=0.8,
        pruning_frequency=5,
        begin_pruning_step=5,
        sparsity_function_end_step=30,
        **given,
    ),
    "threshold": lambda data, **given: ThresholdPruning(
        StdThreshold(0.8, 5, end=34), **given
    ),
    "growth": lambda data, **given: GrowAndPrune(
        data, frequency=5, grow_steps=3, initial_value="zero", **given
    ),
    "prune": lambda data, **given: GrowAndPrune(
        data, frequency=5, grow_steps=0, **given
    ),
}


@pytest.mark.parametrize("kind", CALLBACKS)
def test_one_of_another_part_is_refused_at_the_first_change(kind, data):
    model, optimizer = make_model(momentum(), sparsity=0.5), momentum()
    part = model.get_layer("b").trainable_variables
    callback = CALLBACKS[kind](data, model=model, optimizer=optimizer)
    callback.begin()
    for _ in range(5):
        callback.before_step()
        optimizer.apply([ops.zeros(v.shape) for v in part], part)
    before = [w.num_active for w in layers.masked_weights(model)]
    with pytest.raises(ValueError, match="does not train net/a/kernel. Give"):
        callback.before_step()
    assert before == [w.num_active for w in layers.masked_weights(model)]


class TwoOptimizers(keras.Model):
    """One trains the first layer, its own, and one the second."""

    def __init__(self):
        super().__init__()
        self.a = layers.SparseDense(20, 0.7, activation="relu", name="a")
        self.b = layers.SparseDense(3, 0.7, name="b")
        self.another = momentum()

    def call(self, x):
        return self.b(self.a(x))

    def train_step(self, batch):
        import tensorflow as tf

        x, y = batch
        parts = [self.a.trainable_variables, self.b.trainable_variables]
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x))
        gradients = tape.gradient(loss, parts)
        for optimizer, *step in zip(
            (self.optimizer, self.another), gradients, parts
        ):
            optimizer.apply(*step)
        return {"loss": loss}


def two_optimizers(data):
    model = TwoOptimizers()
    model(data[0][:1])
    model.compile(
        momentum(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


@needs_tensorflow
def test_a_step_of_ones_own_says_what_momentum_there_is(data):
    """It is not known from the model that the optimizer is compiled with."""
    model, records = two_optimizers(data), []
    snfs = Reallocation(
        methods.SNFS(0.2, None), 5, seed=0, listener=records.append
    )
    with pytest.raises(ValueError, match="does not train .*/b/kernel. Give"):
        fit(model, data, snfs)
    assert model.optimizer.iterations == 5 and not records


@needs_tensorflow
def test_deep_r_asks_what_a_step_of_ones_own_trains(data):
    model = two_optimizers(data)
    deep_r = Reallocation(methods.DeepR(1e-3), 5, seed=0)
    with pytest.raises(ValueError, match="DeepR needs.*call `optimizer.build"):
        fit(model, data, deep_r)
    model.optimizer.build(model.a.trainable_variables)
    with pytest.raises(ValueError, match="does not train .*/b/kernel. Give"):
        fit(model, data, deep_r)
    assert model.optimizer.iterations == 0
