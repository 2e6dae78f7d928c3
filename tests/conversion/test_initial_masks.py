"""Which weights are active at the start, by each rule."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf.conversion import initial_masks
from dsr_tf.core import draws
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import gradient_of
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import values


def two_kernels():
    """Kernels of 6 and 4 weights, without biases."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, use_bias=False, name="a"),
            keras.layers.Dense(2, use_bias=False, name="b"),
        ]
    )
    model.layers[0].set_weights([np.array([[9, -8], [7, 6], [-5, 4.0]])])
    model.layers[1].set_weights([np.array([[0.1, -0.3], [0.2, 5.5]])])
    return model


def masks(model):
    return [values(w.mask).astype(int) for w in dsr_tf.masked_weights(model)]


def network(loss="mse", **compile_arguments):
    """12-20-3, dense, with layers that training treats otherwise."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(20, "tanh", kernel_regularizer="l2", name="a"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, name="b"),
        ]
    )
    if loss is not None:
        model.compile("sgd", loss, **compile_arguments)
    return model


X = np.random.default_rng(0).normal(size=(80, 12)).astype("float32")
Y = np.random.default_rng(1).normal(size=(80, 3)).astype("float32")


def test_the_rules_that_there_are():
    assert list(initial_masks.rules()) == [
        "global_magnitude",
        "magnitude",
        "random",
        "snip",
    ]


def test_a_file_is_all_that_a_rule_takes(tmp_path, monkeypatch):
    (tmp_path / "smallest.py").write_text(
        "import numpy as np\n"
        "from dsr_tf.conversion.initial_mask import OfAllKernels, magnitudes\n"
        "class Smallest(OfAllKernels):\n"
        "    name = 'smallest'\n"
        "    def scores(self, request):\n"
        "        return [1 / magnitudes(w) for w in request.weights]\n"
    )
    paths = [*initial_masks.__path__, str(tmp_path)]
    monkeypatch.setattr(initial_masks, "__path__", paths)
    sparse = dsr_tf.sparsify(two_kernels(), 0.6, mask="smallest")
    # 0.1, 0.2 and 0.3; 4 is the smallest of the others.
    assert [m.sum() for m in masks(sparse)] == [1, 3]


def test_global_magnitude_by_hand():
    sparse = dsr_tf.sparsify(two_kernels(), 0.5, mask="global_magnitude")
    first, second = masks(sparse)
    # 9, 8, 7, 6 and 5.5.
    np.testing.assert_array_equal(first, [[1, 1], [1, 1], [0, 0]])
    np.testing.assert_array_equal(second, [[0, 0], [0, 1]])
    assert_zero_outside_masks(sparse)


def test_every_kernel_keeps_a_weight():
    model = two_kernels()
    model.layers[1].set_weights([np.full((2, 2), 1e-9)])
    sparse = dsr_tf.sparsify(model, 0.5, mask="global_magnitude")
    assert [m.sum() for m in masks(sparse)] == [4, 1]
    # Of equals the first.
    assert masks(sparse)[1][0, 0] == 1


@pytest.mark.parametrize("mask", ["magnitude", "global_magnitude"])
def test_of_equals_the_first(mask):
    model = two_kernels()
    model.layers[0].set_weights([np.ones((3, 2))])
    model.layers[1].set_weights([-np.ones((2, 2))])
    first, second = masks(dsr_tf.sparsify(model, 0.5, mask=mask))
    kept = {"magnitude": (3, 2), "global_magnitude": (4, 1)}[mask]
    for found, number in zip((first, second), kept):
        expected = np.arange(found.size) < number
        np.testing.assert_array_equal(found.reshape(-1), expected)


def test_groups_are_scored_by_mean_magnitude():
    """Columns of 3 with means 7 and 6, columns of 2 with 0.15 and 2.9."""
    sparse = dsr_tf.sparsify(
        two_kernels(), 0.2, mask="global_magnitude", granularity="channel"
    )
    # Of 8 weights: 3 and 2 for the largest of each, and 3 for the other.
    first, second = masks(sparse)
    assert first.reshape(-1).tolist() == [1, 1]
    assert second.reshape(-1).tolist() == [0, 1]
    # Of 7, 2 are left over after the same two: the small group fits.
    sparse = dsr_tf.sparsify(
        two_kernels(), 0.3, mask="global_magnitude", granularity="channel"
    )
    first, second = masks(sparse)
    assert first.reshape(-1).tolist() == [1, 0]
    assert second.reshape(-1).tolist() == [1, 1]


def test_weights_that_are_not_finite_are_refused():
    model = two_kernels()
    model.layers[1].set_weights([np.array([[1, 2], [3, np.nan]])])
    for mask in ("magnitude", "global_magnitude"):
        with pytest.raises(ValueError, match="Kernel 'b/kernel' holds weights"):
            dsr_tf.sparsify(model, 0.5, mask=mask)


def saliencies(model, x, y):
    """|gradient * weight| of mse in inference mode, in flat order."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            gradient = gradient_of(
                lambda: keras.ops.mean((model(x, training=False) - y) ** 2),
                layer.kernel,
            )
            found.append(np.abs(gradient * values(layer.kernel)).reshape(-1))
    return np.concatenate(found)


def test_snip_keeps_what_the_loss_depends_on_most():
    model = network()
    model.layers[1].set_weights([np.full(20, n) for n in (2.0, 1, 0.5, 3)])
    weights = [w.copy() for w in model.get_weights()]
    sparse = dsr_tf.sparsify(model, 0.7, mask="snip", data=(X, Y))
    kept = np.concatenate([m.reshape(-1) for m in masks(sparse)]).astype(bool)
    assert kept.sum() == 90
    scores = saliencies(model, X, Y)
    assert scores[kept].min() >= scores[~kept].max() * (1 - 1e-4)
    assert_zero_outside_masks(sparse)
    # Weights that stay are as they were, and so are statistics.
    for old, new in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(model.layers[1].weights, sparse.layers[1].weights):
        np.testing.assert_array_equal(values(old), values(new))
    first = values(dsr_tf.masked_weights(sparse)[0].kernel)
    mask = masks(sparse)[0].astype(bool)
    np.testing.assert_array_equal(first[mask], weights[0][mask])


def test_snip_is_the_same_whatever_came_before():
    """No draw, no mask that layers are built with, no order of calls."""
    model = network()
    arguments = {"mask": "snip", "data": (X, Y)}
    first = dsr_tf.sparsify(model, 0.7, seed=1, **arguments)
    again = dsr_tf.sparsify(model, 0.7, seed=2, **arguments)
    assert_same(masks(first), masks(again))
    # 80 examples, 32 at once: their order does not matter much.
    turned = dsr_tf.sparsify(model, 0.7, mask="snip", data=(X[::-1], Y[::-1]))
    differing = sum((a != b).sum() for a, b in zip(masks(first), masks(turned)))
    assert differing <= 2


def test_snip_takes_a_loss_tensors_and_structures():
    model = network(None)
    expected = masks(dsr_tf.sparsify(network(), 0.7, mask="snip", data=(X, Y)))
    first = network(None)
    for loss in ("mse", keras.losses.MeanSquaredError()):
        second = dsr_tf.sparsify(
            first, 0.7, mask="snip", loss=loss, data=(X, Y)
        )
        assert_same(expected, masks(second))
    batch = next(iter(tf.data.Dataset.from_tensor_slices((X, Y)).batch(80)))
    batch = [keras.ops.convert_to_tensor(part.numpy()) for part in batch]
    second = dsr_tf.sparsify(first, 0.7, mask="snip", loss="mse", data=batch)
    assert_same(expected, masks(second))
    with pytest.raises(ValueError, match="`loss` must be given.*loss=None"):
        dsr_tf.sparsify(model, 0.7, mask="snip", data=(X, Y))


def test_snip_of_several_inputs_and_outputs():
    """The second output does not count, so the kernel before it matters
    little; an input in a dict, a loss and a weight for each output."""
    inputs = {"left": keras.Input((12,)), "right": keras.Input((12,))}
    both = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
    outputs = {
        "main": keras.layers.Dense(3, name="main")(both),
        "other": keras.layers.Dense(3, name="other")(both),
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        "sgd",
        {"main": "mse", "other": "mae"},
        loss_weights={"main": 1.0, "other": 1e-6},
    )
    data = {"left": X, "right": X[::-1]}, {"main": Y, "other": Y}
    sparse = dsr_tf.sparsify(model, 0.6, mask="snip", data=data)
    assert [m.sum() for m in masks(sparse)] == [57, 1]
    # The model was not compiled anew, nor were its losses counted.
    assert model.loss == {"main": "mse", "other": "mae"}
    assert not model._compile_loss.metrics


def test_snip_of_embeddings_frozen_layers_and_what_is_not_reached():
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(10, 6, name="words"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(5, name="frozen"),
            keras.layers.Dense(3, name="head"),
        ]
    )
    model.get_layer("frozen").trainable = False
    words = np.array([[0, 1, 2, 3], [3, 2, 1, 4]])
    sparse = dsr_tf.sparsify(
        model, 0.5, mask="snip", data=(words, Y[:2]), loss="mse"
    )
    embedding, frozen, head = masks(sparse)
    # Words that are not there have no gradient.
    assert not embedding[5:].any() and embedding[:5].any()
    assert frozen.any() and head.any()
    assert embedding.sum() + frozen.sum() + head.sum() == round(105 / 2)


def test_snip_where_the_loss_depends_on_nothing():
    model = network(lambda y, p: 0.0 * keras.ops.mean(p, axis=-1))
    with pytest.raises(ValueError, match="depends on no weight"):
        dsr_tf.sparsify(model, 0.5, mask="snip", data=(X, Y))


@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"]
)
def test_snip_in_other_precisions(policy):
    keras.config.set_dtype_policy(policy)
    # Gradients below the smallest float16, but for what multiplies them.
    model = network(lambda y, p: 1e-7 * keras.losses.mean_squared_error(y, p))
    sparse = dsr_tf.sparsify(model, 0.7, mask="snip", data=(X, Y))
    assert sum(m.sum() for m in masks(sparse)) == 90
    keras.config.set_dtype_policy("float32")
    exact = network()
    for old, new in zip(model.weights, exact.weights):
        new.assign(keras.ops.cast(old.value, "float32"))
    exact = dsr_tf.sparsify(exact, 0.7, mask="snip", data=(X, Y))
    differing = sum((a != b).sum() for a, b in zip(masks(sparse), masks(exact)))
    assert differing <= 10


@needs_tensorflow
def test_snip_on_several_devices():
    expected = masks(dsr_tf.sparsify(network(), 0.7, mask="snip", data=(X, Y)))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = network()
        sparse = dsr_tf.sparsify(model, 0.7, mask="snip", data=(X, Y))
    assert_same(expected, masks(sparse))


@pytest.mark.parametrize("mask", ["global_magnitude", "snip"])
def test_it_trains(mask):
    data = {"data": (X, Y)} if mask == "snip" else {}
    sparse = dsr_tf.sparsify(network(), 0.7, mask=mask, seed=0, **data)
    sparse.compile("adam", "mse")
    records = []
    callback = dsr_tf.callbacks.DynamicSparseReparameterization(
        seed=0, listener=records.append
    )
    before = sparse.evaluate(X, Y, verbose=0)
    sparse.fit(X, Y, 8, epochs=4, verbose=0, callbacks=[callback])
    assert sparse.evaluate(X, Y, verbose=0) < before
    assert {r.num_active for r in records} == {90}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mask": "x"}, "one of global_magnitude, magnitude, random, snip"),
        ({"mask": None}, "Received: mask=None"),
        (
            {"mask": "global_magnitude", "distribution": "erk"},
            "shares the budget itself.*Received: distribution='erk'",
        ),
        (
            {"mask": "snip", "data": (X, Y), "distribution": {"a": 0.5}},
            "shares the budget itself",
        ),
        ({"mask": "snip"}, "`data` must be a batch.*Received: data=None"),
        ({"data": (X, Y)}, "Received: mask='random'"),
        ({"loss": "mse"}, "Received: mask='random'"),
        ({"mask": "snip", "data": X}, "tuple .x, y.*ndarray and length 80"),
        ({"mask": "snip", "data": 3}, "Received: data of type int"),
        ({"mask": "snip", "data": (X, Y[:4])}, "same number of examples"),
        ({"mask": "snip", "data": (X[:0], Y[:0])}, "at least one"),
        ({"mask": "snip", "data": ("x", Y)}, "same number of examples"),
        (
            {"mask": "global_magnitude", "sparsity": 0.999},
            "budget of 1 active .*Received: sparsity=0.999",
        ),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        dsr_tf.sparsify(network(), **{"sparsity": 0.5, **arguments})


def test_masks_that_there_were_stay():
    once = dsr_tf.sparsify(network(), 0.6, filters="a", seed=0)
    once.compile("sgd", "mse")
    twice = dsr_tf.sparsify(once, 0.5, mask="snip", data=(X, Y))
    first, second = masks(twice)
    np.testing.assert_array_equal(first, masks(once)[0])
    assert second.sum() == 30


def test_random_masks_are_as_ever():
    """Drawn from the seed and the place of the kernel."""
    dense = dsr_tf.strip(make_model())
    sparse = dsr_tf.sparsify(dense, 0.7, seed=3)
    for stream, found in enumerate(masks(sparse)):
        expected = np.zeros(found.size, int)
        places = draws.generator(3, stream=stream).choice(
            found.size, int(found.sum()), replace=False, shuffle=False
        )
        expected[places] = 1
        np.testing.assert_array_equal(found.reshape(-1), expected)
