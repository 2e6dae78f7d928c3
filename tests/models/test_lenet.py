import numpy as np

import dsr_tf
from dsr_tf.models import lenet_300_100


def test_it_is_the_authors_network():
    model = lenet_300_100()
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert [tuple(k.shape) for k in kernels] == [
        (784, 300),
        (300, 100),
        (100, 10),
    ]
    # Three kernels, scales and offsets of three normalizations, no biases.
    assert dsr_tf.sparsity_summary(model).num_parameters == 266200 + 2 * 410
    for kernel in kernels:
        values = kernel.numpy()
        limit = 1 / np.sqrt(kernel.shape[0])
        assert 0.97 * limit < np.abs(values).max() <= limit
        assert abs(values.std() - limit / np.sqrt(3)) < 0.03 * limit


def test_without_normalization():
    model = lenet_300_100(batch_normalization=False)
    assert dsr_tf.sparsity_summary(model).num_parameters == 266200 + 410


def test_sparse_counts():
    model = dsr_tf.sparsify(lenet_300_100(), 0.99, seed=0)
    summary = dsr_tf.sparsity_summary(model)
    assert [layer.num_active for layer in summary.layers] == [2352, 300, 10]
