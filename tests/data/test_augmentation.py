import numpy as np
import pytest
import tensorflow as tf

from dsr_tf.data import augmentation


def seed(number):
    return tf.constant([3, number], "int64")


def images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def test_crop_and_flip_is_a_crop_of_the_reflected_image():
    batch = images(200, 12, 10, 3)
    views = augmentation.crop_and_flip(batch, seed(0)).numpy()
    padded = np.pad(batch, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
    found = []
    for image, view in zip(padded, views):
        crops = {
            (i, j, flip): image[i : i + 12, j : j + 10][:, :: 1 - 2 * flip]
            for i in range(9)
            for j in range(9)
            for flip in (0, 1)
        }
        (place,) = (k for k, c in crops.items() if np.array_equal(c, view))
        found.append(place)
    rows, columns, flips = np.array(found).T
    assert set(rows) == set(columns) == set(range(9))
    assert 70 < flips.sum() < 130
    assert abs(np.corrcoef(rows, flips)[0, 1]) < 0.25
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.25


@pytest.mark.parametrize("name", ["crop_and_flip", "resized_crop"])
def test_views_depend_on_the_seed_only(name):
    view = getattr(augmentation, name)
    batch = images(8, 16, 16, 3)
    first, again, other = (view(batch, seed(n)).numpy() for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == batch.shape


@pytest.mark.parametrize("shape", [(60, 60), (40, 90), (90, 40), (8, 100)])
def test_boxes(shape):
    """Within the image, of the areas and shapes that are allowed."""
    height, width = shape
    boxes = augmentation.crop_boxes(
        tf.constant(height), tf.constant(width), 2000, seed(0)
    ).numpy()
    top, left, rows, columns = boxes.T
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] >= 1).all()
    assert (top + rows <= height).all() and (left + columns <= width).all()
    # Sides are rounded to pixels.
    slack = 1 + 2 / rows.min()
    aspect = columns / rows
    assert aspect.min() > 3 / 4 / slack and aspect.max() < 4 / 3 * slack
    assert (rows * columns).min() >= 0.08 * height * width / slack**2
    if height == width:
        area = rows * columns / (height * width)
        assert area.min() < 0.12 and area.max() > 0.9
        assert (top == 0).any() and (top + rows == height).any()


def test_a_box_where_no_shape_fits():
    """Nothing of 3:4 to 4:3 has 8 % of the area: the middle is taken."""
    boxes = augmentation.crop_boxes(
        tf.constant(4), tf.constant(400), 5, seed(0)
    ).numpy()
    np.testing.assert_array_equal(boxes, [[0, 198, 4, 5]] * 5)


def test_a_resized_crop_is_a_part_of_the_image():
    """On a ramp, a view is a ramp between two values of it."""
    ramp = np.tile(np.arange(32, dtype="float32"), (64, 32, 1))[..., None]
    views = augmentation.resized_crop(ramp, seed(5)).numpy()[..., 0]
    boxes = augmentation.crop_boxes(
        tf.constant(32), tf.constant(32), 64, seed(5)
    ).numpy()
    mirrored = 0
    for view, (_, left, _, columns) in zip(views, boxes):
        expected = np.linspace(left, left + columns - 1, 32)
        if view[0, 0] > view[0, -1]:
            expected, mirrored = expected[::-1], mirrored + 1
        np.testing.assert_allclose(view, np.tile(expected, (32, 1)), atol=1e-3)
    assert 16 < mirrored < 48
