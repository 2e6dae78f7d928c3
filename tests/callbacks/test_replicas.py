"""Every method under MirroredStrategy: the replicas stay equal."""

import keras
import numpy as np
import pytest

from dsr_tf import callbacks
from dsr_tf import growth
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf import pruning
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.agreement import ReplicasDiffer
from dsr_tf.training.cluster import Cluster
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import values

pytestmark = needs_tensorflow

METHODS = [
    methods.DSR(15),
    methods.DeepR(1e-4),
    # In CI by `tests/training/test_distributed.py` only.
    pytest.param(None, marks=pytest.mark.slow),
    pruning.StdThreshold(0.8, 2),
    pytest.param(methods.SET(0.2), marks=pytest.mark.slow),
    methods.RigL(0.3, 100),
    methods.SNFS(0.3, 100),
]


def strategy():
    return Cluster("mirrored").strategy


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_replicas_stay_equal(data, method):
    records, is_rule = [], isinstance(method, pruning.Rule)
    if is_rule:
        callback = callbacks.ThresholdPruning(method, records.append)
    elif method is None:
        callback = callbacks.GradualPruning(
            target_sparsity=0.7,
            pruning_frequency=2,
            sparsity_function_end_step=60,
            listener=records.append,
        )
    else:
        callback = callbacks.Reallocation(
            method, period=2, seed=0, listener=records.append
        )
    with strategy().scope():
        model = make_model(
            keras.optimizers.Adam(0.01),
            sparsity=0.0 if is_rule or method is None else 0.7,
            jit_compile=False,
        )
    model.fit(
        *data,
        batch_size=8,
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=[callback],
    )
    if is_rule:
        assert len(records) == 39 and 0 < records[-1].num_active < 240
    elif method is None:
        assert records[-1].num_active == 90
    else:
        assert {r.num_active for r in records} == {90}
        assert sum(r.num_grown for r in records) > 50
    for variable in [*model.variables, *model.optimizer.variables]:
        copies = [values(copy) for copy in variable.value.values]
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies)
    assert_zero_outside_masks(model)


def test_growth_and_pruning_on_all_replicas(data):
    records = []
    with strategy().scope():
        model = make_model(
            keras.optimizers.Adam(0.01), sparsity=0.0, jit_compile=False
        )
        growth.plant(model, 0.3, 0.5, seed=0)
        nest = callbacks.GrowAndPrune(
            data,
            frequency=4,
            grow_steps=1,
            prune_share=0.3,
            seed=0,
            listener=records.append,
        )
    model.fit(*data, 8, 1, shuffle=False, verbose=0, callbacks=[nest])
    assert records[0].num_grown > 5 and records[1].num_pruned > 5
    for variable in [*model.variables, *model.optimizer.variables]:
        copies = [values(copy) for copy in variable.value.values]
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies)
    assert_zero_outside_masks(model)


@pytest.mark.parametrize("method", [methods.RigL(0.3, None), methods.SET(0.3)])
def test_patterns_on_all_replicas(data, method):
    """2 of every 4 weights, the same ones on both."""
    with strategy().scope():
        model = keras.Sequential(
            [
                keras.Input((12,)),
                layers.SparseDense(20, 0.5, "2:4", activation="relu", seed=0),
                layers.SparseDense(3, 0.5, "2:4", seed=1),
            ]
        )
        model.compile(
            keras.optimizers.Adam(0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
    records = []
    callback = callbacks.Reallocation(
        method, period=4, seed=0, listener=records.append
    )
    model.fit(*data, 8, 1, shuffle=False, verbose=0, callbacks=[callback])
    assert sum(record.num_grown for record in records) > 50
    for weight in masked_weights(model):
        masks = [values(copy) for copy in weight.mask.value.values]
        np.testing.assert_array_equal(*masks)
        bundles = weight.grouping.pattern.bundles(masks[0])
        assert (bundles.sum(axis=1) == 2).all()
    assert_zero_outside_masks(model)


@pytest.mark.parametrize("method", [methods.DSR(15), methods.DeepR(1e-4)])
def test_replicas_that_differ_stop_the_training(data, method):
    """One entry of one mask, moved on the second device only."""
    with strategy().scope():
        model = make_model(keras.optimizers.SGD(0.01), jit_compile=False)
    _, weight = masked_weights(model)

    class Tamper(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                copy = weight.mask.value.values[1]
                mask = copy.numpy().reshape(-1)
                places = np.flatnonzero(mask)[0], np.flatnonzero(~mask)[0]
                mask[list(places)] = ~mask[list(places)]
                copy.assign(mask.reshape(copy.shape))

    records = []
    reallocation = callbacks.Reallocation(
        method, period=10, seed=0, listener=records.append
    )
    with pytest.raises(ReplicasDiffer, match="the masks of b/kernel diff"):
        model.fit(
            *data,
            batch_size=8,
            epochs=4,
            verbose=0,
            callbacks=[reallocation, Tamper()],
        )
    assert [record.step for record in records] == [10, 20, 30]


@pytest.mark.parametrize(
    "name, value", [("steps_per_execution", 5), ("jit_compile", True)]
)
@pytest.mark.parametrize("method", [methods.DSR(15), None])
def test_what_keras_cannot_do_is_said(method, name, value, data):
    callback = (
        callbacks.Reallocation(method, period=5)
        if method
        else callbacks.GradualPruning(target_sparsity=0.9)
    )
    with strategy().scope():
        model = make_model(**{"jit_compile": False, name: value})
    with pytest.raises(ValueError, match=f"2 replicas needs {name}=.*dsr_tf"):
        model.fit(*data, batch_size=8, verbose=0, callbacks=[callback])
    assert model.optimizer.iterations.numpy() == 0
