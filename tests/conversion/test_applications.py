"""A model of each family of keras.applications, at its full size."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.callbacks import Reallocation
from tests.conftest import needs_tensorflow
from tests.conftest import values

pytestmark = [pytest.mark.slow, needs_tensorflow]

# Family -> model, and the share of its parameters that may stay dense: that
# of scales and shifts, statistics not counted, where that is more than 3 %.
FAMILIES = {
    "Xception": ("Xception", 0.03),
    "VGG": ("VGG16", 0.03),
    "ResNet": ("ResNet50", 0.03),
    "ResNetV2": ("ResNet50V2", 0.03),
    "InceptionV3": ("InceptionV3", 0.03),
    "InceptionResNetV2": ("InceptionResNetV2", 0.03),
    "MobileNet": ("MobileNet", 0.03),
    "MobileNetV2": ("MobileNetV2", 0.03),
    "MobileNetV3": ("MobileNetV3Small", 0.03),
    "DenseNet": ("DenseNet121", 0.03),
    "NASNet": ("NASNetMobile", 0.03),
    "EfficientNet": ("EfficientNetB0", 0.03),
    "EfficientNetV2": ("EfficientNetV2B0", 0.03),
    "ConvNeXt": ("ConvNeXtTiny", 0.03),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_sparsify_train_reload_and_export(family, tmp_path):
    import tensorflow as tf

    name, most = FAMILIES[family]
    dense = getattr(keras.applications, name)(weights=None)
    x = np.random.default_rng(0).uniform(0, 255, (2, *dense.input_shape[1:]))
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
    assert share <= most
    sparse.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        "sparse_categorical_crossentropy",
    )
    for method in (dsr_tf.methods.DSR(100), dsr_tf.methods.RigL(0.3)):
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
