"""A small vision transformer."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled

_PATCH = 4
# Of attention, and units of each; of units of the MLP to those of a token.
_HEADS, _HEAD_UNITS, _MLP_RATIO = 3, 64, 4


@register("vit", keep_dense=["^patches$", "^fc$"])
def vit(
    depth: int = 6,
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    width: float = 1.0,
    l1: float = 0.0,
) -> keras.Model:
    """Six blocks of attention and an MLP over patches of 4x4.

    Dosovitskiy et al. (2021, arXiv 2010.11929), with half of the blocks of
    DeiT-Ti (Touvron et al., 2021, arXiv 2012.12877): tokens of 192 numbers,
    three heads, an MLP four times as wide. Blocks normalize first. There is
    no token for the class, the logits read the mean of all: 2,693,002
    parameters for images of CIFAR-10. Kernels and positions start from a
    normal distribution of standard deviation 0.02, cut off at twice that.
    Masks are on the projections of attention and on the MLP; patches, their
    positions and the logits stay dense.

    Args:
        depth: Positive integer, number of blocks.
        input_shape: Shape of an image, `(height, width, channels)`; height
            and width are multiples of 4.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies the units of a head, rounded, at
            least one, and with them those of tokens and of the MLP.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.

    Raises:
        ValueError: if patches do not cover an image.
    """
    parts = Parts(l1)
    head_units = scaled(_HEAD_UNITS, width)
    inputs = keras.Input(input_shape, name="image")
    x = _tokens(parts, inputs, _HEADS * head_units)
    for number in range(1, depth + 1):
        x = _block(parts, x, head_units, f"block{number}")
    x = _normalized(x, "ln")
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    outputs = parts.logits(x, num_classes, _narrow_normal())
    return keras.Model(inputs, outputs, name="vit")


def _tokens(parts: Parts, image: Any, units: int) -> Any:
    """A token of each patch: its projection, and a learned vector of its
    position, which is the bias there."""
    height, width, channels = image.shape[1:]
    if height % _PATCH or width % _PATCH:
        raise ValueError(
            f"Height and width of images of vit must be multiples of {_PATCH}. "
            f"Received: input_shape={(height, width, channels)}"
        )
    rows, columns = height // _PATCH, width // _PATCH
    x = keras.layers.Reshape(
        (rows, _PATCH, columns, _PATCH, channels), name="cut"
    )(image)
    x = keras.layers.Permute((1, 3, 2, 4, 5), name="sort")(x)
    x = keras.layers.Reshape(
        (rows * columns, _PATCH * _PATCH * channels), name="rows"
    )(x)
    return keras.layers.EinsumDense(
        "btp,pu->btu",
        output_shape=(rows * columns, units),
        bias_axes="tu",
        kernel_initializer=_narrow_normal(),
        bias_initializer=_narrow_normal(),
        kernel_regularizer=parts.penalty(),
        name="patches",
    )(x)


def _block(parts: Parts, x: Any, head_units: int, name: str) -> Any:
    """Add what attention, then what the MLP makes of normalized tokens."""
    units = x.shape[-1]
    branch = _normalized(x, f"{name}_ln1")
    branch = keras.layers.MultiHeadAttention(
        _HEADS,
        head_units,
        kernel_initializer=_narrow_normal(),
        kernel_regularizer=parts.penalty(),
        name=f"{name}_attention",
    )(branch, branch)
    x = keras.layers.Add(name=f"{name}_add1")([x, branch])
    branch = _normalized(x, f"{name}_ln2")
    branch = parts.dense(
        branch, _MLP_RATIO * units, f"{name}_mlp1", _narrow_normal()
    )
    branch = keras.layers.Activation("gelu", name=f"{name}_gelu")(branch)
    branch = parts.dense(branch, units, f"{name}_mlp2", _narrow_normal())
    return keras.layers.Add(name=f"{name}_add2")([x, branch])


def _normalized(x: Any, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)(x)


def _narrow_normal() -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=0.02)
