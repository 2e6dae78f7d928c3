"""RigL moves what stores active weights only as it moves what masks do.

All numbers are multiples of a power of two, and small, so that the sums of
all products are exact, and many gradients equal: ties are decided as well.
"""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

import dsr_tf
from dsr_tf import methods
from dsr_tf.core import stripes
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import needs_tensorflow
from tests.conftest import slow_on_jax
from tests.reallocation import test_row_twins
from tests.reallocation import test_twins
from tests.reallocation.test_twins import TIGHT
from tests.reallocation.test_twins import WIDE
from tests.reallocation.test_twins import assert_alike
from tests.reallocation.test_twins import is_full
from tests.reallocation.test_twins import renew
from tests.repository.documents import run_example


class Coarse:
    """Draws few different numbers."""

    def __init__(self, seed):
        self._generator = np.random.default_rng(seed)

    def normal(self, mean=0, deviation=1, size=None):
        return self._generator.integers(-2, 3, size) / 8


def product(y, outputs):
    """A loss whose gradient by outputs is `y`, over the size of the batch."""
    return ops.sum(y * outputs, axis=-1)


def by_momentum(fraction):
    method = run_example("docs/storage.md", "momentum")["by_momentum"]
    return dataclasses.replace(method, fraction=fraction)


def moved_alike(models, number, inputs, kind=methods.RigL):
    """Reallocate twins by gradients so many times.

    Args:
        models: One that stores active weights only, and one with masks.
        number: How many times.
        inputs: Function of a generator that draws a batch.
        kind: The method.

    Returns:
        How many kernels had a bin without room, in all.
    """
    generator = np.random.default_rng(0)
    reallocators = [Reallocator(m, kind(0.3)) for m in models]
    num_full, momentum = 0, keras.optimizers.SGD(0.125, momentum=0.5)
    for model, reallocator in zip(models, reallocators):
        optimizer = momentum.from_config(momentum.get_config())
        model.compile(optimizer, product, run_eagerly=True)
        optimizer.build(model.trainable_variables)
        reallocator.check(optimizer)
        reallocator.begin(optimizer, 0)
    for step in range(number):
        renew(models, Coarse(step))
        x = inputs(generator)
        shape = (len(x), *models[0].output_shape[1:])
        y = generator.integers(-2, 3, shape).astype("float32")
        records = []
        for model, reallocator in zip(models, reallocators):
            start_biases_afresh(model)
            reallocator.hook.open(step, step + 1)
            model.train_on_batch(x, y)
            assert reallocator.hook.is_ready(step, step + 1)
            records.append(reallocator.step(model.optimizer, step + 1))
        assert records[0] == records[1] and records[0].num_grown > 0
        assert_alike(models)
        num_full += sum(map(is_full, masked_weights(models[0])))
    return num_full


def start_biases_afresh(model):
    for layer in model.layers:
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(np.zeros(layer.bias.shape))


BY_HAND = [needs_tensorflow, pytest.mark.slow]


def half(fraction):
    return methods.Adaptive(fraction, growth="half")


def at_random(fraction):
    return methods.Adaptive(
        fraction, growth="random", redistribution="momentum"
    )


@pytest.mark.parametrize(
    ("storage", "slots", "kind"),
    [
        pytest.param("blocks", TIGHT, methods.RigL, marks=slow_on_jax),
        ("blocks", TIGHT, half),
        pytest.param("blocks", WIDE, half, marks=BY_HAND),
        pytest.param("blocks", TIGHT, at_random, marks=BY_HAND),
        pytest.param("lists", TIGHT, half, marks=needs_tensorflow),
        pytest.param("lists", WIDE, at_random, marks=needs_tensorflow),
        pytest.param("blocks", WIDE, by_momentum, marks=needs_tensorflow),
        pytest.param("lists", TIGHT, methods.RigL, marks=needs_tensorflow),
    ],
    ids=[
        "tight blocks",
        "half, tight blocks",
        "half, wide blocks",
        "random, tight blocks",
        "half, lists",
        "random, lists",
        "wide blocks",
        "lists",
    ],
)
def test_matrices(storage, slots, kind, monkeypatch):
    monkeypatch.setattr(stripes, "STRIPE", 1500)  # Of 3584, 3072 and 480.
    number = 2 if keras.backend.backend() == "jax" else 5
    num_full = moved_alike(
        test_twins.twins(storage, slots[storage], "sgd"),
        number,
        lambda g: g.integers(-2, 3, (4, 56)).astype("float32"),
        kind,
    )
    # Places have been equal where there was no room for more, too.
    assert num_full or (storage, slots) != ("blocks", TIGHT)


@pytest.mark.parametrize(
    "kind", [pytest.param(methods.RigL, marks=slow_on_jax), half]
)
def test_tables(kind, monkeypatch):
    monkeypatch.setattr(stripes, "STRIPE", 100)  # Of 360 and 240.
    number = 2 if keras.backend.backend() == "jax" else 5
    models = test_row_twins.twins((None, None), "sgd")
    moved_alike(models, number, lambda g: g.integers(-30, 30, (4, 3)), kind)


@needs_tensorflow  # JAX compiles each operation.
@pytest.mark.parametrize("storage", test_twins.STORAGES)
def test_convolutions_of_a_single_position(storage):
    inputs = keras.Input((4, 4, 32))
    layer = keras.layers.Conv2D(64, 1, strides=2, use_bias=False)
    model = dsr_tf.sparsify(
        keras.Model(inputs, layer(inputs)),
        0.7,
        granularity=test_twins.GRANULARITIES[storage],
        storage=storage,
        seed=0,
    )
    models = [model, dsr_tf.with_storage(model, "masked")]
    moved_alike(
        models,
        4,
        lambda g: g.integers(-2, 3, (4, 4, 4, 32)).astype("float32"),
    )
