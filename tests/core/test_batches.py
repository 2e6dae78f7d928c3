"""Inputs are read from what `fit` takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dsr_tf.core.batches import input_batches

X = np.arange(14.0, dtype="float32").reshape(7, 2)
Y = np.arange(7)


class Pairs(keras.utils.PyDataset):
    def __init__(self, number=2):
        super().__init__()
        self.number = number

    @property
    def num_batches(self):
        return self.number

    def __getitem__(self, index):
        return X[3 * index % 7 :][:3], Y[3 * index % 7 :][:3]


def pairs():
    yield X[:3], Y[:3]
    yield X[3:6], Y[3:6]


SOURCES = {
    "array": lambda: X,
    "tensor": lambda: tf.constant(X),
    "inputs only": lambda: (X,),
    "inputs and targets": lambda: (X, Y),
    "without targets": lambda: (X, None),
    "with weights": lambda: (X, Y, np.ones(7)),
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(3),
    "tf.data of inputs": lambda: tf.data.Dataset.from_tensor_slices(X).batch(3),
    "PyDataset": Pairs,
    "endless PyDataset": lambda: Pairs(None),
    "generator": pairs,
    "generator of inputs": lambda: (x for x, _ in pairs()),
}


@pytest.mark.parametrize("name", SOURCES)
def test_two_batches_of_three(name):
    batches = list(input_batches(SOURCES[name](), 3, 2))
    assert [type(batch) for batch in batches] == [np.ndarray] * 2
    np.testing.assert_array_equal(np.concatenate(batches), X[:6])


def test_the_last_batch_of_arrays_is_smaller():
    batches = list(input_batches((X, Y), 3))
    np.testing.assert_array_equal(np.concatenate(batches), X)
    assert [len(batch) for batch in batches] == [3, 3, 1]


def test_structures_of_inputs():
    (batch,) = input_batches(({"a": X, "b": [Y, Y]}, Y), num_batches=1)
    np.testing.assert_array_equal(batch["a"], X)
    np.testing.assert_array_equal(batch["b"][1], Y)


def test_a_generator_can_be_read_once():
    generator = pairs()
    list(input_batches(generator))
    with pytest.raises(ValueError, match="read only once"):
        list(input_batches(generator))


@pytest.mark.parametrize("data", [None, 3, "digits", len])
def test_what_is_no_data_is_refused(data):
    with pytest.raises(TypeError, match="must be an array, .*Received: data"):
        input_batches(data)


@pytest.mark.parametrize(
    "data", [(X, Y[:3]), np.zeros((0, 2)), np.float32(3), (X, 3)]
)
def test_arrays_that_are_refused(data):
    with pytest.raises(ValueError, match="same number of examples"):
        input_batches(data)


@pytest.mark.parametrize("name", ["batch_size", "num_batches"])
@pytest.mark.parametrize("number", [0, 2.0, True])
def test_numbers_that_are_refused(name, number):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        input_batches(X, **{name: number})
