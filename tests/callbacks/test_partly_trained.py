"""Models of which only a part is masked or trained."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import Reallocation
from tests.callbacks.shared import by_method
from tests.callbacks.shared import fit
from tests.callbacks.shared import masks
from tests.callbacks.shared import momentum
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import values


@by_method
def test_a_model_with_one_masked_kernel(method, data):
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(20, 0.7, activation="relu", seed=1),
            keras.layers.Dense(3),
        ]
    )
    model.compile(
        momentum(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    before, records = masks(model), []
    fit(model, data, Reallocation(method, 5, seed=0, listener=records.append))
    assert {r.num_active for r in records} == {72}
    assert not np.array_equal(before, masks(model))
    assert_zero_outside_masks(model)


def three_layers(frozen):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(
                20, 0.7, seed=1, name="a", trainable=frozen != "at birth"
            ),
            layers.SparseDense(20, 0.7, activation="relu", seed=2, name="b"),
            layers.SparseDense(3, 0.7, seed=3, name="c"),
        ]
    )
    if frozen == "later":
        model.get_layer("a").trainable = False
    model.compile(
        momentum(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


@by_method
@pytest.mark.parametrize(
    "frozen", [pytest.param("at birth", marks=pytest.mark.slow), "later"]
)
def test_frozen_layers_stay_as_they_are(method, frozen, data):
    model, records = three_layers(frozen), []
    layer = model.get_layer("a")
    before = [
        values(layer.masked_variables["kernel"].kernel),
        values(layer.mask),
    ]
    fit(model, data, Reallocation(method, 5, seed=0, listener=records.append))
    assert_same(
        before,
        [values(layer.masked_variables["kernel"].kernel), values(layer.mask)],
    )
    assert sum(r.num_grown for r in records) > 0
    # The budget that moves is that of the other two.
    assert {tuple(r.active) for r in records} == {("b/kernel", "c/kernel")}
    assert {r.num_active for r in records} == {120 + 18}
    assert_zero_outside_masks(model)


def test_frozen_layers_are_not_pruned(data):
    model = three_layers("later")
    before = masks(model)
    fit(
        model,
        data,
        GradualPruning(target_sparsity=0.9, sparsity_function_end_step=30),
    )
    after = masks(model)
    assert_same(before[:1], after[:1])
    assert after[1].sum() < before[1].sum()


def test_the_summary_names_frozen_layers(data):
    summary = dsr_tf.sparsity_summary(three_layers("later"))
    text = " ".join(str(summary).split())
    assert "Frozen, so nothing moves: a/kernel" in text
    assert [layer.trainable for layer in summary.layers] == [False, True, True]


def test_a_model_that_is_frozen_as_a_whole_is_refused(data):
    model = make_model()
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    for callback in (
        Reallocation(methods.DSR(15), 5),
        GradualPruning(target_sparsity=0.9),
    ):
        with pytest.raises(ValueError, match="All 2 masked kernels.*frozen"):
            callback.check(model)


def test_sparsify_keeps_frozen_layers_frozen(data):
    model = keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(9), keras.layers.Dense(3)]
    )
    model.layers[0].trainable = False
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    assert [w.trainable for w in dsr_tf.masked_weights(sparse)] == [0, 1]
