"""Finding the slots of optimizers that keep them in ways of their own."""

import keras
import numpy as np

from dsr_tf.core.optimizer_slots import slots


def test_slots_of_muon_are_found():
    variables = [
        keras.Variable(np.ones((3, 4), "float32"), name=name)
        for name in ("masked", "other")
    ]
    muon = keras.optimizers.Muon(exclude_layers=["masked"])
    muon.build(variables)
    # Of what Muon leaves to AdamW, a momentum and a velocity.
    found = slots(muon, variables[0])
    assert len({id(slot) for slot, _ in found}) == len(found) == 2
    for slot, fresh in found:
        assert tuple(slot.shape) == (3, 4) and fresh == 0
