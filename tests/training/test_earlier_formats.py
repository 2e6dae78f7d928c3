"""Files that earlier versions have written load, and runs go on from them.

`earlier/` holds files of format 2, with one variable of state a layer: of
runs of `dsr_tf.train` on digits with `--width=0.1 --sparsity=0.8 --period=7
--seed=3`, checkpoints of step 28, where a reallocation is due, and the model
after step 56.
"""

import os
import shutil

import keras
import pytest

import dsr_tf
from dsr_tf.reallocation.state import ReallocationState
from dsr_tf.training import checkpoint
from tests.conftest import needs_tensorflow
from tests.conftest import values

pytestmark = needs_tensorflow

FOLDER = os.path.join(os.path.dirname(__file__), "earlier")
ACTIVE = {"fc1/kernel": 283, "fc2/kernel": 121, "fc3/kernel": 60}


def network():
    model = dsr_tf.models.lenet_300_100((8, 8, 1), 10, width=0.1)
    model = dsr_tf.sparsify(model, 0.8, "erk", seed=3)
    model.compile(dsr_tf.optimizers.SGD(momentum=0.9))
    return model


def restored(method):
    found = checkpoint.read(os.path.join(FOLDER, f"{method}.npz"))
    assert (found.format, found.step) == (2, 28)
    model = network()
    checkpoint.restore(found, model)
    return model, dsr_tf.masked_weights(model)


def test_state_gets_its_names():
    _, masked = restored("dsr")
    state = ReallocationState.read(masked, dsr_tf.methods.DSR())
    assert (state.seed, state.num_reallocations, state.last_step) == (3, 3, 21)
    assert state.method_state == {"threshold_exponent": 3, "num_collapses": 0}
    assert sum(w.num_active for w in masked) == sum(ACTIVE.values())
    for weight in masked[1:]:
        assert not any(values(v).any() for v in weight.layer.state_variables)


def test_the_window_of_rigl():
    _, masked = restored("rigl")
    assert values(masked[0].layer.gradient_window).tolist() == [27, 28]
    assert {w.path: w.num_active for w in masked} == ACTIVE


def test_moves_counted_by_deep_r():
    _, masked = restored("deep_r")
    moved = [values(w.layer.num_moved).tolist() for w in masked]
    assert moved == [[73], [30], [12]]


def test_thresholds_of_gradual_pruning():
    _, masked = restored("gradual")
    thresholds = [0.0596583, 0.1016697, 0.1525941]
    for weight, expected in zip(masked, thresholds):
        (threshold,) = values(weight.layer.pruning_threshold)
        assert threshold == pytest.approx(expected, rel=1e-5)


def test_a_keras_file():
    model = keras.models.load_model(os.path.join(FOLDER, "dsr.keras"))
    masked = dsr_tf.masked_weights(model)
    state = ReallocationState.read(masked)
    assert (state.seed, state.num_reallocations, state.last_step) == (3, 7, 49)
    assert sum(w.num_active for w in masked) == sum(ACTIVE.values())
    for weight in masked:
        assert not values(weight.kernel)[~values(weight.mask)].any()


@pytest.mark.parametrize("method", ["dsr", "rigl"])
def test_a_run_goes_on(method, tmp_path):
    from dsr_tf import train

    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copyfile(
        os.path.join(FOLDER, f"{method}.npz"),
        folder / "checkpoints" / "step-28.npz",
    )
    train.main(
        [
            "dsr_tf.train",
            f"--method={method}",
            "--dataset=digits",
            "--width=0.1",
            "--sparsity=0.8",
            "--distribution=erk",
            "--epochs=4",
            "--batch_size=50",
            "--learning_rate=0.1",
            "--num_reallocated=50",
            "--period=7",
            "--seed=3",
            "--temperature=1e-4",
            "--fraction_end_epoch=4",
            f"--output_dir={folder}",
            "--nojit_compile",
            "--resume",
        ]
    )
    rows = (folder / "reallocations.csv").read_text().splitlines()
    steps = [int(row.split(",")[0]) for row in rows[1:]]
    assert steps == [step for step in range(7, 112, 7)][: len(steps)]
    assert len(steps) >= 14
    counts = {row.split(",")[4] for row in rows[1:]}
    assert counts == {"464"}
