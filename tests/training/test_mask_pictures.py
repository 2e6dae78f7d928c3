"""Pictures of masks: what is drawn, kept, and refused."""

import json

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.training import mask_pictures
from dsr_tf.training.mask_pictures import Picture


@pytest.fixture
def model():
    """Images of 2 x 3 pixels, six units, then three."""
    inputs = keras.Input((2, 3, 1))
    x = keras.layers.Flatten()(inputs)
    x = dsr_tf.layers.SparseDense(6, name="one")(x)
    x = dsr_tf.layers.SparseDense(
        4, name="two", granularity="block:3x2", sparsity=0.5
    )(x)
    model = keras.Model(inputs, x)
    one, two = dsr_tf.masked_weights(model)
    mask = np.zeros((6, 6), "bool")
    mask[0, :4] = mask[5, :2] = True
    one.set_mask(mask)
    two.set_mask(np.array([[True, False], [True, False]]))
    return model


def test_masks_and_what_reads_the_image(model):
    pictures = mask_pictures.of_model(model, (2, 3, 1))
    one, two = pictures.kernels
    assert one.path == "one/kernel" and one.granularity == "element"
    expected = np.zeros((6, 6), "uint8")
    expected[0, :4] = expected[5, :2] = 255
    np.testing.assert_array_equal(one.pixels, expected)
    assert (one.num_units, one.num_dead_units) == (6, 2)
    # A pixel is a block.
    np.testing.assert_array_equal(two.pixels, [[255, 0], [255, 0]])
    assert (two.num_units, two.num_dead_units) == (4, 2)
    # Four units read the first pixel, two the last.
    np.testing.assert_array_equal(
        pictures.inputs.pixels, [[255, 0, 0], [0, 0, 128]]
    )
    assert mask_pictures.of_model(model, (3,)).inputs is None


def test_they_are_read_as_they_were_written(model, tmp_path):
    pictures = mask_pictures.of_model(model, (2, 3, 1))
    mask_pictures.write(tmp_path, pictures)
    found = mask_pictures.read(tmp_path)
    pairs = zip(
        [*found.kernels, found.inputs], [*pictures.kernels, pictures.inputs]
    )
    for one, other in pairs:
        assert one.to_dict() == other.to_dict()


def test_large_masks_are_drawn_small():
    image = np.zeros((512, 300))
    image[:2, :] = 1
    pixels = mask_pictures._pixels(image, 256)
    assert pixels.shape == (256, 150)
    assert (pixels[0] == 255).all() and not pixels[1:].any()
    # The last pixel may be the mean of fewer.
    np.testing.assert_array_equal(
        mask_pictures._pixels(np.array([[0.0, 1.0, 1.0]]), 2), [[128, 255]]
    )


def test_there_are_none(tmp_path):
    assert mask_pictures.read(tmp_path) is None


_GOOD = Picture("fc", np.zeros((2, 3), "uint8")).to_dict()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        "[" * 99999,
        {"format": 2},
        {"kernels": 3},
        {"kernels": [{**_GOOD, "shape": [3, 3]}]},
        {"kernels": [{**_GOOD, "shape": [10**9, 10**9]}]},
        {"kernels": [{**_GOOD, "shape": [2, 3, 1]}]},
        {"kernels": [{**_GOOD, "shape": [True, 3]}]},
        {"kernels": [{**_GOOD, "pixels": "AAAA"}]},
        {"kernels": [{**_GOOD, "pixels": "\u00e4"}]},
        {"kernels": [{**_GOOD, "path": 3}]},
        {"kernels": [{**_GOOD, "num_units": -1}]},
        {"inputs": {}, "kernels": [_GOOD]},
        {"inputs": 3},
    ],
)
def test_damage_is_one_sentence(content, tmp_path):
    if isinstance(content, dict):
        whole = {"format": 1, "kernels": [], "inputs": None}
        content = json.dumps({**whole, **content})
    (tmp_path / "masks.json").write_text(content)
    with pytest.raises(ValueError, match="masks.json cannot be read") as error:
        mask_pictures.read(tmp_path)
    assert "\n" not in str(error.value)
