"""What a stripped model keeps of the model that was compiled."""

import json
import zipfile

import keras
import pytest

import dsr_tf
from dsr_tf import optimizers
from dsr_tf import proximal

SAME = {
    "sgd": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(1e-2, beta_1=0.8, weight_decay=1e-3),
    "of keras": lambda: keras.optimizers.Lion(1e-3),
}
OWN = {
    "l2": lambda: optimizers.SGD(0.1, l2=1e-4),
    "proximal": lambda: optimizers.SGD(
        0.1, proximal={"kernel": proximal.SoftThreshold(1e-3)}
    ),
}


def stripped(optimizer):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, dsr_tf.layers.SparseDense(3, 0.5)(inputs))
    model.compile(optimizer, "mse", metrics=["mae"])
    return model, dsr_tf.strip(model)


def saved(model, folder):
    """What the file of a model says that it is made of."""
    model.save(folder / "model.keras")
    with zipfile.ZipFile(folder / "model.keras") as file:
        return file.read("config.json").decode()


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("make", SAME.values(), ids=SAME)
def test_files_need_keras_only(make, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model, dense = stripped(make())
    assert "dsr_tf" not in saved(dense, tmp_path)
    before, now = (m.get_compile_config() for m in (model, dense))
    assert (
        before.pop("optimizer")["class_name"]
        == (now["optimizer"]["class_name"])
    )
    if policy == "float32":
        expected = model.optimizer.get_config()
        expected.pop("l2", None), expected.pop("proximal", None)
        assert dense.optimizer.get_config() == expected
    now.pop("optimizer")
    assert json.dumps(now) == json.dumps(before)


@pytest.mark.parametrize("make", OWN.values(), ids=OWN)
def test_updates_that_keras_lacks_stay(make, tmp_path):
    _, dense = stripped(make())
    assert type(dense.optimizer) is optimizers.SGD
    assert "dsr_tf" in saved(dense, tmp_path)


def test_the_model_itself_keeps_its_optimizer():
    model, _ = stripped(SAME["sgd"]())
    optimizer = model.optimizer
    assert dsr_tf.strip(model, inplace=True).optimizer is optimizer


def test_a_model_that_is_not_compiled():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, dsr_tf.layers.SparseDense(3, 0.5)(inputs))
    assert not dsr_tf.strip(model).compiled
    model.compile(loss="mse", optimizer=None)
    dsr_tf.strip(model)
