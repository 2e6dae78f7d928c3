import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.callbacks import GradualPruning
from dsr_tf.pruning import PruningHyperparameters
from dsr_tf.pruning.gradual import Gradual
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import snapshot
from tests.conftest import values

SCHEDULE = {
    "target_sparsity": 0.8,
    "begin_pruning_step": 10,
    "end_pruning_step": 40,
    "pruning_frequency": 10,
    "sparsity_function_end_step": 40,
}


def fit(model, data, callbacks, epochs=3, **arguments):
    """Batches of 8: 20 steps an epoch."""
    return model.fit(
        *data,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **arguments,
    )


def dense_start(**compile_arguments):
    momentum = keras.optimizers.SGD(0.1, momentum=0.9)
    return make_model(momentum, sparsity=0.0, **compile_arguments)


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        (
            1,
            [
                "GradualPruning ended before its schedule did: the last "
                "pruning, after update 10, was to a sparsity of 0.463, and "
                "the schedule takes until update 40 to reach 0.8"
            ],
        ),
        # The last is after update 40, and there are 60.
        (3, []),
    ],
)
def test_an_end_before_the_target_is_told(data, caplog, epochs, said):
    fit(dense_start(), data, [GradualPruning(**SCHEDULE)], epochs=epochs)
    assert [r.message.rstrip(".") for r in caplog.records] == said


def test_what_does_not_show_is_not_told():
    """Of 0.8: 0.8 * (3/40)**3 is left after update 37, 0.0003."""
    rule = Gradual(PruningHyperparameters(**SCHEDULE))
    assert rule.unfinished(37) is None
    assert "after update 36, was to a sparsity of 0.799," in (
        rule.unfinished(36)
    )


@pytest.mark.parametrize("steps_per_execution", [1, 5])
def test_prunes_by_the_schedule(data, steps_per_execution):
    model, records = dense_start(steps_per_execution=steps_per_execution), []
    history = fit(
        model, data, [GradualPruning(listener=records.append, **SCHEDULE)]
    )
    assert [r.step for r in records] == [10, 20, 30, 40]
    # Of 240 and 60: 1 - 0.8 * (1 - (3/4)**3) stay, and so on.
    expected = []
    for step in (10, 20, 30, 40):
        kept = 1 - 0.8 * (1 - (1 - step / 40) ** 3)
        expected.append(round(kept * 240) + round(kept * 60))
    assert [r.num_active for r in records] == expected
    assert expected[-1] == 60
    assert history.history["mask_density"][-1] == pytest.approx(0.2)
    assert_zero_outside_masks(model)
    for weight in layers.masked_weights(model):
        for slot in model.optimizer.variables:
            if slot.path.endswith("momentum") and slot.shape == (
                weight.kernel.shape
            ):
                assert not values(slot)[~values(weight.mask)].any()


def test_the_smallest_go(data):
    model = dense_start()
    fit(model, data, [], epochs=1)
    weight = layers.masked_weights(model)[0]
    before = np.abs(values(weight.kernel))
    pruning = GradualPruning(
        target_sparsity=0.5,
        pruning_frequency=20,
        sparsity_function_end_step=20,
        end_pruning_step=20,
    )
    model.fit(*data, batch_size=160, epochs=1, verbose=0, callbacks=[pruning])
    mask = values(weight.mask)
    assert mask.sum() == 120
    assert before[mask].min() >= before[~mask].max()


def test_blocks_of_the_matrix(data):
    """12 x 20 in blocks of 3 x 4, 20 of them; the other kernel divides not."""
    model = dense_start()
    pruning = GradualPruning(block_height=3, block_width=4, **SCHEDULE)
    with pytest.raises(ValueError, match="block:3x4"):
        fit(model, data, [pruning])
    pruning = GradualPruning(
        block_height=4,
        block_width=1,
        block_pooling_function="MAX",
        **SCHEDULE,
    )
    fit(model, data, [pruning])
    first, _ = layers.masked_weights(model)
    mask = values(first.mask).reshape(3, 4, 20)
    assert (mask.all(axis=1) == mask.any(axis=1)).all()
    assert first.num_active == 48


def test_blocks_need_element_masks():
    model = keras.Sequential(
        [keras.Input((12,)), layers.SparseDense(4, 0.0, "channel")]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="need masks of granularity 'element'"):
        GradualPruning(block_height=2).check(model)


def test_groups_of_the_masks_go_as_one(data):
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(20, 0.0, "block:2x2", name="a"),
            layers.SparseDense(3, 0.0, name="b"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    records = []
    fit(model, data, [GradualPruning(listener=records.append, **SCHEDULE)])
    assert list(records[-1].active.values()) == [48, 12]


def test_a_decaying_threshold_prunes_later(data):
    def active(decay):
        model, records = dense_start(), []
        pruning = GradualPruning(
            threshold_decay=decay, listener=records.append, **SCHEDULE
        )
        fit(model, data, [pruning])
        return [r.num_active for r in records]

    exact, late = active(0.0), active(0.9)
    assert exact[-1] == 60
    assert all(b > a for a, b in zip(exact, late))
    assert late[-1] < 300


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_goes_on_after_loading(data, tmp_path, decay):
    def pruning():
        return GradualPruning(threshold_decay=decay, **SCHEDULE)

    whole = dense_start()
    fit(whole, data, [pruning()], epochs=2)
    halved = dense_start()
    fit(halved, data, [pruning()], epochs=1)
    halved.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    fit(loaded, data, [pruning()], epochs=2, initial_epoch=1)
    assert_same(snapshot(whole)[:6], snapshot(loaded)[:6])


def test_hyperparameters_as_a_list():
    pruning = GradualPruning("target_sparsity=0.9,pruning_frequency=5")
    assert pruning.hyperparameters.target_sparsity == 0.9
    with pytest.raises(ValueError, match="not both"):
        GradualPruning("target_sparsity=0.9", pruning_frequency=5)
    with pytest.raises(ValueError, match="must be a PruningHyperparameters"):
        GradualPruning(7)
    with pytest.raises(TypeError, match="listener"):
        GradualPruning(listener=7)


def test_a_model_without_masks(data):
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="no masked layers.*sparsify"):
        fit(model, data, [GradualPruning()])


def test_from_a_trained_dense_model(data):
    dense = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(20, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    dense.compile("adam", "sparse_categorical_crossentropy")
    fit(dense, data, [], epochs=1)
    model = dsr_tf.sparsify(dense, 0.0)
    np.testing.assert_array_equal(dense(data[0]), model(data[0]))
    model.compile("adam", "sparse_categorical_crossentropy")
    fit(model, data, [GradualPruning(**SCHEDULE)])
    assert dsr_tf.sparsity_summary(model).num_active == 60
