"""A layer of each kind with one masked kernel, and what it holds."""

from dsr_tf import layers
from tests.conftest import values

KINDS = {
    "dense": (lambda **k: layers.SparseDense(7, **k), (2, 5)),
    "conv1d": (lambda **k: layers.SparseConv1D(7, 3, **k), (2, 9, 5)),
    "conv2d": (
        lambda **k: layers.SparseConv2D(8, 3, groups=2, strides=2, **k),
        (2, 9, 9, 4),
    ),
    "conv1d transpose": (
        lambda **k: layers.SparseConv1DTranspose(4, 3, strides=2, **k),
        (2, 5, 3),
    ),
    "conv3d transpose": (
        lambda **k: layers.SparseConv3DTranspose(2, 2, strides=2, **k),
        (2, 3, 3, 3, 3),
    ),
    "depthwise 1d": (
        lambda **k: layers.SparseDepthwiseConv1D(
            3, depth_multiplier=2, padding="same", **k
        ),
        (2, 6, 5),
    ),
    "conv3d": (lambda **k: layers.SparseConv3D(4, 2, **k), (2, 5, 5, 5, 3)),
    "depthwise": (
        lambda **k: layers.SparseDepthwiseConv2D(
            3, depth_multiplier=2, padding="same", **k
        ),
        (2, 6, 6, 5),
    ),
    "transpose": (
        lambda **k: layers.SparseConv2DTranspose(4, 3, strides=2, **k),
        (2, 5, 5, 3),
    ),
    "einsum": (
        lambda **k: layers.SparseEinsumDense(
            "abc,cd->abd", (None, 8), bias_axes="d", **k
        ),
        (2, 4, 6),
    ),
    "embedding": (lambda **k: layers.SparseEmbedding(11, 6, **k), None),
}


def built(make, x, **arguments):
    layer = make(**arguments)
    layer(x)
    return layer


def values_beside(layer):
    """Those of the dense layer but for its kernel."""
    return [values(v) for v in layer.trainable_variables[1:]]


def kernel_of(layer):
    (weight,) = layers.masked_weights(layer)
    return weight.kernel
