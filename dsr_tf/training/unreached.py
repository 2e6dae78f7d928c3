"""Outputs of a network that no image changes: a sign of cut paths."""

import keras
import numpy as np
from keras import ops

# So few cost nothing, and units that are off for all of them are rare.
_NUM_IMAGES = 16


def unreached_outputs(model: keras.Model, image_shape: tuple[int, ...]) -> int:
    """How many outputs are the same for every image.

    Where few weights are active, or large blocks of them, there may be no
    path from the inputs to an output. It stays as it is then, unless a
    method moves weights there.

    Args:
        model: A built Keras model of one input and outputs `(batch, n)`.
        image_shape: Shape of an image, without the batch.

    Returns:
        Their number, from 0 to n. Of a few images of noise: units that are
        off for all of them count as cut, too.
    """
    # As in training, where batch normalization makes up for what sparse
    # layers take from a signal: by the statistics that it has at first, a
    # deep network would end in zeros. The scope keeps new ones from the model.
    generator = np.random.default_rng(0)
    images = generator.normal(size=(_NUM_IMAGES, *image_shape))
    with keras.StatelessScope():
        outputs = model(ops.convert_to_tensor(images, "float32"), training=True)
    outputs = ops.convert_to_numpy(outputs)
    return int((outputs == outputs[:1]).all(axis=0).sum())
