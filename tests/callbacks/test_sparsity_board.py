"""What is written for TensorBoard, read back from its files."""

import glob
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.callbacks import SparsityBoard
from dsr_tf.callbacks import mask_image
from dsr_tf.callbacks.keras_board import drawing_booleans
from dsr_tf.layers.emptied import num_dead_units
from dsr_tf.layers.masked_weights import masked_weights
from tests.callbacks.shared import METHODS
from tests.callbacks.shared import fit
from tests.callbacks.shared import masks
from tests.callbacks.shared import momentum
from tests.conftest import make_model
from tests.conftest import needs_tensorflow


def read(folder):
    """All that was written: dict `{tag: {step: tensor}}`."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "events*"))):
        for event in tf.compat.v1.train.summary_iterator(path):
            for value in event.summary.value:
                steps = found.setdefault(value.tag, {})
                assert event.step not in steps, "written twice"
                steps[event.step] = tf.make_ndarray(value.tensor)
    return found


def pixels(tensor):
    """An image in [0, 1] of what TensorBoard stores of one."""
    width, height, png = tensor
    image = tf.io.decode_png(png).numpy()[..., 0]
    assert image.shape == (int(height), int(width))
    return image / 255


class Seen(keras.callbacks.Callback):
    """Keeps the masks at the start and at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.masks, self.logs = [], []

    def on_train_begin(self, logs=None):
        self.masks.append(masks(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.masks.append(masks(self.model))
        self.logs.append(logs)  # As it is once all have added to it.


@pytest.mark.parametrize("is_first", [True, False])
def test_a_training_with_dsr(is_first, data, tmp_path):
    """In either order, all that is written is what the masks say."""
    seen, model = Seen(), make_model(momentum())
    moving = [Reallocation(METHODS["dsr"], 5, seed=0)]
    board = [SparsityBoard(tmp_path)]
    order = board + moving if is_first else moving + board
    fit(model, data, *order, seen, epochs=3)
    found = read(tmp_path)
    for index, path in enumerate(("a/kernel", "b/kernel")):
        num_moved = 0
        for epoch, step in enumerate((20, 40, 60)):
            before, now = (seen.masks[epoch + i][index] for i in (0, 1))
            for name, expected in {
                "density": now.mean(),
                "grown": (now & ~before).sum(),
                "pruned": (before & ~now).sum(),
                "dead_units": (~now.any(axis=0)).sum(),
            }.items():
                written = found[f"{name}/{path}"][step]
                assert written == np.float32(expected), name
            num_moved += (now != before).sum()
            image = pixels(found[f"mask/{path}"][step])
            # The longer side lies across: (12, 20), and (3, 20) of (20, 3).
            np.testing.assert_array_equal(image, now.T if index else now)
            buckets = found[f"active_weights/{path}"][step]
            assert buckets[:, 2].sum() == now.sum()
        assert num_moved > 0
    expected = pytest.approx(dict.fromkeys((0, 20, 40, 60), 0.3))
    assert found["mask_density"] == expected
    # Each weight of a Dense layer is used once.
    assert found["active_macs"] == pytest.approx(
        dict.fromkeys((0, 20, 40, 60), sum(m.sum() for m in seen.masks[0]))
    )
    start = pixels(found["mask/a/kernel"][0])
    np.testing.assert_array_equal(start, seen.masks[0][0])
    thresholds = [logs["threshold"] for logs in seen.logs]
    assert list(found["threshold"].values()) == pytest.approx(thresholds)
    kernel = keras.ops.convert_to_numpy(masked_weights(model)[0].kernel)
    low, high = found["active_weights/a/kernel"][60][[0, -1], [0, 1]]
    active = kernel[masks(model)[0]]
    assert (low, high) == (active.min(), active.max())


def test_every_few_updates(data, tmp_path):
    """At the executions that reach multiples of the period."""
    model = make_model(steps_per_execution=4)
    fit(model, data, SparsityBoard(tmp_path, period=6), epochs=1)
    assert list(read(tmp_path)["mask_density"]) == [0, 8, 12, 20]


def test_several_trainings(data, tmp_path):
    """What moved between two of them is not of the second."""
    model, board = make_model(), SparsityBoard(tmp_path)
    fit(model, data, board, epochs=1)
    weight = masked_weights(model)[0]
    weight.set_mask(np.ones(240, "bool"))
    fit(model, data, board, epochs=1)
    found = read(tmp_path)
    assert found["density/a/kernel"][40] == 1
    assert found["grown/a/kernel"] == {20: 0, 40: 0}


def test_without_fit(tmp_path):
    model = make_model()
    board = SparsityBoard(tmp_path, model=model)
    board.write(0)
    weight = masked_weights(model)[1]
    before = weight.num_active
    weight.set_mask(np.arange(60) % 3 == 1)
    board.write(7)
    board.close()
    found = read(tmp_path)
    assert list(found["density/b/kernel"].values()) == pytest.approx(
        [before / 60, 1 / 3]
    )
    # Of three units the outer ones have no weight.
    assert found["dead_units/b/kernel"][7] == 2
    assert list(found["grown/b/kernel"]) == [7]


def test_a_model_built_by_its_first_batch(data, tmp_path):
    model = keras.Sequential([dsr_tf.layers.SparseDense(3, 0.5, name="a")])
    model.compile("sgd", "mse")
    x, _ = data
    fit(model, (x, x[:, :3]), SparsityBoard(tmp_path), epochs=1)
    assert read(tmp_path)["grown/a/kernel"] == {20: 0}


def test_images_that_a_model_takes(tmp_path):
    """Pixel (0, 1) is read by all units, (1, 0) by one of two."""
    model = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            keras.layers.Flatten(),
            dsr_tf.layers.SparseDense(2, 0.0, name="a"),
        ]
    )
    mask = np.array([[0, 0], [1, 1], [0, 1], [0, 0]], "bool")
    masked_weights(model)[0].set_mask(mask)
    board = SparsityBoard(tmp_path, model=model)
    board.write(0)
    board.close()
    image = pixels(read(tmp_path)["input_mask/a/kernel"][0])
    np.testing.assert_allclose(image, [[0, 1], [0.5, 0]], atol=1 / 255)


def test_windows_are_tiles():
    layer = dsr_tf.layers.SparseConv2D(5, (2, 3), 0.5, seed=0, name="c")
    model = keras.Sequential([keras.Input((8, 8, 4)), layer])
    weight = masked_weights(model)[0]
    image = mask_image.of_kernel(weight, weight.variable.places())
    mask = keras.ops.convert_to_numpy(weight.mask)
    assert image.shape == (4 * 2, 5 * 3)
    np.testing.assert_array_equal(image[2:4, 9:12], mask[:, :, 1, 3])


def test_large_masks_become_means():
    layer = dsr_tf.layers.SparseDense(3, 0.5, seed=0)
    model = keras.Sequential([keras.Input((1025,)), layer])
    weight = masked_weights(model)[0]
    image = mask_image.of_kernel(weight, weight.variable.places())
    mask = keras.ops.convert_to_numpy(weight.mask)
    assert image.shape == (3, 342)
    # The largest mean of the 3 x 342 is that of three active weights.
    np.testing.assert_allclose(image[:, 0], mask[:3].mean(axis=0))
    np.testing.assert_allclose(image[:, -1], mask[-2:].mean(axis=0))
    # Of few, one in three is as white.
    weight.set_mask(np.arange(3075) == 999)
    image = mask_image.of_kernel(weight, weight.variable.places())
    assert set(image.ravel()) == {0, 1}


@pytest.mark.parametrize("storage", ["masked", "blocks"])
def test_blocks(storage):
    """A block spans 4 units: of 12 those of one column of blocks are dead."""
    layer = dsr_tf.layers.SparseDense(
        12, 0.0, granularity="block:4x4", name="a"
    )
    model = keras.Sequential([keras.Input((8,)), layer])
    masked_weights(model)[0].set_mask(np.array([1, 0, 1, 0, 0, 1], "bool"))
    model = dsr_tf.with_storage(model, storage)
    weight = masked_weights(model)[0]
    places = weight.variable.places()
    assert num_dead_units(weight, places) == 4
    image = mask_image.of_kernel(weight, places)
    np.testing.assert_array_equal(image, [[1, 0, 1], [0, 0, 1]])


@needs_tensorflow
def test_on_replicas(data, tmp_path):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = make_model(momentum())
    moving = Reallocation(methods.DSR(15), 5, seed=0)
    fit(model, data, SparsityBoard(tmp_path), moving, epochs=2)
    found = read(tmp_path)
    assert list(found["mask_density"]) == [0, 20, 40]
    np.testing.assert_array_equal(
        pixels(found["mask/a/kernel"][40]), masks(model)[0]
    )


@pytest.mark.parametrize("is_first", [True, False])
def test_beside_the_board_of_keras(is_first, data, tmp_path):
    """Neither takes from the other, nor holds it back; both draw masks."""
    before = vars(keras.callbacks.TensorBoard).copy()
    theirs = keras.callbacks.TensorBoard(
        tmp_path, histogram_freq=1, write_images=True, update_freq=20
    )
    ours = SparsityBoard(tmp_path / "ours", period=5)
    order = [ours, theirs] if is_first else [theirs, ours]
    moving, model = Reallocation(METHODS["dsr"], 5, seed=0), make_model()
    fit(model, data, moving, *order, epochs=2)
    found, others = read(tmp_path / "ours"), read(tmp_path / "train")
    assert list(found["mask_density"]) == [*range(0, 41, 5)]
    assert not set(found) & set(others)
    (tag,) = (t for t in others if "a/mask" in t and t.endswith("/image"))
    np.testing.assert_array_equal(pixels(others[tag][1]), masks(model)[0])
    assert vars(keras.callbacks.TensorBoard) == before


def test_boards_that_end_in_any_order():
    kind = keras.callbacks.TensorBoard
    before = kind._log_weight_as_image
    first, second = drawing_booleans(), drawing_booleans()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert kind._log_weight_as_image is not before
    del second  # As a callback that is forgotten after an error.
    assert kind._log_weight_as_image is before


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"period": 0}, "period=0"),
        ({"period": 2.5}, "period=2.5"),
        ({"model": "net"}, "model='net'"),
        ({"logs": "threshold"}, "logs='threshold'"),
    ],
)
def test_sentences(arguments, match, tmp_path):
    with pytest.raises((TypeError, ValueError), match=match):
        SparsityBoard(tmp_path, **arguments)


def test_a_model_without_masks(data, tmp_path):
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="masked layers"):
        fit(model, (data[0], data[0][:, :3]), SparsityBoard(tmp_path))
