"""Outputs that no path of active weights leads to."""

import keras
import numpy as np
import pytest

from dsr_tf.commands import train
from dsr_tf.layers import SparseDense
from dsr_tf.layers import masked_weights
from dsr_tf.training.unreached import unreached_outputs


@pytest.mark.parametrize(
    ("first", "second", "number"),
    [
        # Input 0 to unit 0 to output 1.
        ([(0, 0)], [(0, 1)], 2),
        # The only active unit is one that has no input.
        ([(0, 0)], [(1, 1)], 3),
        ([(0, 0), (3, 1)], [(0, 0), (1, 1), (0, 2)], 0),
    ],
)
def test_outputs_without_a_path(first, second, number):
    layers = [SparseDense(2, 0.5, activation="tanh"), SparseDense(3, 0.5)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    for weight, places in zip(masked_weights(model), (first, second)):
        mask = np.zeros(weight.mask.shape, "bool")
        mask[tuple(np.transpose(places))] = True
        # Away from 0, so that what is active differs in float32.
        weight.kernel.assign(np.ones(mask.shape))
        weight.set_mask(mask)
    assert unreached_outputs(model, (4,)) == number


def test_a_faint_path_is_one():
    """Each kernel makes it smaller, until it is 0 in float32; training does
    not, for it normalizes by the images of its batch."""
    model = keras.Sequential([keras.Input((4,))])
    for _ in range(3):
        model.add(SparseDense(4, 0.5, use_bias=False))
        model.add(keras.layers.BatchNormalization(epsilon=1e-36))
    for weight in masked_weights(model):
        weight.kernel.assign(np.full((4, 4), 1e-16))
        weight.set_mask(np.eye(4, dtype="bool"))
    before = model.get_weights()
    assert not model(np.ones((1, 4), "float32"), training=False)[0, 0]
    assert unreached_outputs(model, (4,)) == 0
    for value, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, now)


def test_a_run_says_so_at_its_start_only(tmp_path, caplog):
    """Blocks of 32, a tenth of them: none feeds another here."""
    run = [
        "--flagfile=flags/quickstart.flags",
        "--granularity=block:32",
        "--storage=blocks",
    ]
    run += ["--epochs=1", "--nojit_compile", f"--output_dir={tmp_path / 'run'}"]
    said = []
    for again in ([], ["--resume"]):
        train.main(["train", *run, *again])
        said.append(
            [r.message for r in caplog.records if "outputs" in r.message]
        )
        caplog.clear()
    assert said == [
        [
            "10 of 10 outputs are the same for every image: no path of active "
            "weights leads to them at the start"
        ],
        [],
    ]
