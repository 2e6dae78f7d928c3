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
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(optimizers.Adam()),
}


@keras.saving.register_keras_serializable(package="tests")
class Mine(optimizers.Adam):
    """Whose updates may be others."""


OWN = {
    "of a user": Mine,
    "warm": lambda: optimizers.SGD(optimizers.WarmUp(0.1, 5)),
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
        found = dense.optimizer.get_config()
        for own in ("l2", "proximal", "inner_optimizer"):
            expected.pop(own, None)
            found.pop(own, None)
        assert found == expected
    now.pop("optimizer")
    assert json.dumps(now) == json.dumps(before)


@pytest.mark.parametrize("make", OWN.values(), ids=OWN)
def test_updates_that_keras_lacks_stay(make, tmp_path):
    _, dense = stripped(make())
    assert "dsr_tf" in saved(dense, tmp_path) or type(dense.optimizer) is Mine


def test_the_model_itself_keeps_its_optimizer():
    model, _ = stripped(SAME["sgd"]())
    optimizer = model.optimizer
    assert dsr_tf.strip(model, inplace=True).optimizer is optimizer


def test_a_model_that_is_compiled_in_its_own_way():
    class Two(keras.Model):
        def compile(self, optimizers, **kwargs):
            super().compile(loss="mse", **kwargs)
            self.two = optimizers

        def get_compile_config(self):
            serialize = keras.optimizers.serialize
            return {
                "optimizers": {k: serialize(v) for k, v in self.two.items()}
            }

        def compile_from_config(self, config):
            get = keras.optimizers.get
            self.compile({k: get(v) for k, v in config["optimizers"].items()})

    inputs = keras.Input((4,))
    model = Two(inputs, dsr_tf.layers.SparseDense(3, 0.5)(inputs))
    model.compile({"a": optimizers.Adam(), "b": keras.optimizers.SGD()})
    two = dsr_tf.strip(model).two
    assert type(two["a"]) is keras.optimizers.Adam
    assert type(two["b"]) is keras.optimizers.SGD


def test_a_model_that_is_not_compiled():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, dsr_tf.layers.SparseDense(3, 0.5)(inputs))
    assert not dsr_tf.strip(model).compiled
    model.compile(loss="mse", optimizer=None)
    dsr_tf.strip(model)
