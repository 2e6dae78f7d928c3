"""`--method=brain_damage`, trained in both of its phases."""

import keras
import numpy as np
import pytest

from dsr_tf.layers import masked_weights
from tests.recipes.narrowed_runs import trained
from tests.training import left_behind

RUN = {
    "model": "resnet_cifar",
    "depth": 8,
    "width": 0.5,
    "method": "brain_damage",
    "epochs": 3,
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The folder of the first phase, and its summary."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    return folder, trained(folder, **RUN, penalty=0.001)


def second(folder, first, **settings):
    return trained(
        folder,
        **{**RUN, "epochs": 1, "initial_checkpoint": str(first[0])},
        parameter_budget=0.3,
        **settings,
    )


@pytest.mark.slow
def test_active_weights_meet_the_budget(first, tmp_path):
    """And a run that was killed goes on without the first one."""
    path = first[0] / "model.keras"
    before = keras.models.load_model(path, compile=False)
    penalty = before.get_layer("group1_block1_conv1").kernel_regularizer
    assert [p.granularity.name for p in penalty.regularizers] == ["shape"]
    whole = first[1]["num_parameters"]

    kept = {"checkpoint_every_steps": 2, "checkpoints_to_keep": 9}
    summary = second(tmp_path / "run", first, **kept)
    # A shape of the last group has 32 weights.
    active = summary["num_active_parameters"]
    assert 0.3 * whole - 100 < active <= 0.3 * whole
    assert active < summary["num_parameters"] < whole
    assert summary["test_accuracy"] > 0.5
    assert first[1]["num_macs"] > summary["num_macs"]
    model = keras.models.load_model(
        tmp_path / "run" / "model.keras", compile=False
    )
    weights = masked_weights(model)
    assert {weight.granularity for weight in weights} == {"shape"}
    assert sum(w.size - w.num_active for w in weights) == (
        summary["num_parameters"] - active
    )

    left_behind.after(2, tmp_path / "run", tmp_path / "killed")
    with left_behind.gone(first[0]):
        second(tmp_path / "killed", first, resume=True, **kept)
    resumed = keras.models.load_model(
        tmp_path / "killed" / "model.keras", compile=False
    )
    for ours, theirs in zip(model.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
