"""A model of each family of keras.applications, at its full size."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.callbacks import Reallocation
from tests.conftest import needs_tensorflow
from tests.conftest import values

pytestmark = [pytest.mark.slow, needs_tensorflow]

FAMILIES = {
    "Xception": "Xception",
    "VGG": "VGG16",
    "ResNet": "ResNet50",
    "ResNetV2": "ResNet50V2",
    "InceptionV3": "InceptionV3",
    "InceptionResNetV2": "InceptionResNetV2",
    "MobileNet": "MobileNet",
    "MobileNetV2": "MobileNetV2",
    "MobileNetV3": "MobileNetV3Small",
    "DenseNet": "DenseNet121",
    "NASNet": "NASNetMobile",
    "EfficientNet": "EfficientNetB0",
    "EfficientNetV2": "EfficientNetV2B0",
    "ConvNeXt": "ConvNeXtTiny",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_sparsify_train_reload_and_export(family, tmp_path):
    import tensorflow as tf

    name = FAMILIES[family]
    dense = getattr(keras.applications, name)(weights=None)
    # Some take images of any size.
    shape = (2, *(n or 224 for n in dense.input_shape[1:3]), 3)
    x = np.random.default_rng(0).uniform(0, 255, shape)
    x, y = x.astype("float32"), np.array([3, 5])
    unchanged = dsr_tf.sparsify(dense, 0.0)
    np.testing.assert_array_equal(values(unchanged(x)), values(dense(x)))
    del unchanged

    sparse = dsr_tf.sparsify(dense, 0.9, seed=0)
    summary = dsr_tf.sparsity_summary(sparse)
    share = 1 - summary.num_masked / summary.num_parameters
    print(
        f"\n{family}: {name}, {summary.num_parameters:,} parameters, "
        f"{share:.2%} dense"
    )
    assert share <= 0.03  # Scales, shifts and biases.
    sparse.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        "sparse_categorical_crossentropy",
    )
    for method in (dsr_tf.methods.DSR(100), dsr_tf.methods.RigL(0.3, None)):
        history = sparse.fit(
            x,
            y,
            epochs=2,
            verbose=0,
            callbacks=[Reallocation(method, period=1)],
        )
        assert sum(history.history["num_reallocated"])
    after = dsr_tf.sparsity_summary(sparse)
    assert after.num_active == summary.num_active

    outputs = sparse.predict(x, verbose=0)
    sparse.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), outputs)
    dsr_tf.export.saved_model(sparse, str(tmp_path / "saved"))
    served = tf.saved_model.load(tmp_path / "saved")
    (result,) = served.serve(x).values()
    np.testing.assert_allclose(values(result), outputs, rtol=1e-4, atol=1e-6)
