import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.regularizers import GroupLasso
from dsr_tf.regularizers import Sum
from tests.conftest import gradient_of
from tests.conftest import needs_tensorflow
from tests.conftest import values

# Of a Dense layer: two inputs, three units; then a convolution of 1x2.
MATRIX = np.array([[3.0, 0, 1], [4, 0, 0]], "float32")
KERNEL = np.zeros((1, 2, 2, 3), "float32")
KERNEL[0, :, 0, 0] = 3, 4
KERNEL[0, 0, 1, :] = 2, 0, 1
KERNEL[0, 1, 1, 2] = 2


@pytest.mark.parametrize(
    "granularity, weights, expected",
    [
        # Columns: 5, 0 and 1. Rows: the root of 10, and 4.
        ("channel", MATRIX, 6),
        ("input", MATRIX, np.sqrt(10) + 4),
        ("shape", MATRIX, np.sqrt(10) + 4),
        ("layer", MATRIX, np.sqrt(26)),
        ("element", MATRIX, 8),
        ("block:2x1", MATRIX, 6),
        # Channels: 9 + 16 + 4, 0, 1 + 4.
        ("channel", KERNEL, np.sqrt(29) + np.sqrt(5)),
        ("input", KERNEL, 5 + 3),
        ("shape", KERNEL, 3 + 4 + np.sqrt(5) + 2),
        ("kernel", KERNEL, 5 + 2 + np.sqrt(5)),
        ("layer", KERNEL, np.sqrt(34)),
    ],
)
def test_by_hand(granularity, weights, expected):
    penalty = GroupLasso(0.5, granularity)(weights)
    assert penalty.shape == ()
    np.testing.assert_allclose(float(penalty), 0.5 * expected, rtol=1e-6)


def test_axes_of_other_kernels_are_given():
    swapped = KERNEL.transpose(0, 1, 3, 2)
    for granularity, axes in [
        ("channel", (-2,)),
        ("input", [-1]),
        ("shape", (0, 1, 3)),
    ]:
        found = GroupLasso(1, granularity, axes=axes)(swapped)
        expected = GroupLasso(1, granularity)(KERNEL)
        np.testing.assert_allclose(float(found), float(expected), rtol=1e-6)
    # What `regularize` does.
    axes = KernelAxes.of(4, (-2,))
    fitted = GroupLasso(1, "channel").fitted(swapped.shape, axes)
    assert fitted.axes == (2,)
    assert GroupLasso(1, "shape", (1,)).fitted((2, 3), None).axes == (1,)


names = ["channel", "input", "shape", "layer", "kernel"]
cases = [(shape, name) for shape in ((4, 6), (2, 3, 5)) for name in names]
cases += [((1, 3, 2, 4), "block:2x2"), ((5,), "layer")]


@given(st.sampled_from(cases), st.floats(1e-4, 10), st.integers(0, 2**31))
def test_the_gradient_is_of_one_length_in_each_group(case, strength, seed):
    shape, name = case
    penalty = GroupLasso(strength, name)
    generator = np.random.default_rng(seed)
    kernel = generator.normal(size=shape) * 10 ** generator.uniform(-6, 3)
    grouping = penalty.grouping(shape)
    groups = grouping.groups(kernel.astype("float32"))
    is_zero = generator.random(len(groups)) < 0.3
    groups[is_zero] = 0
    variable = keras.Variable(grouping.ungroup(groups))
    gradient = gradient_of(lambda: penalty(variable), variable)
    norms = np.linalg.norm(groups.astype("float64"), axis=1, keepdims=True)
    norms[is_zero] = 1
    np.testing.assert_allclose(
        grouping.groups(gradient), strength * groups / norms, rtol=2e-5
    )
    assert not grouping.groups(gradient)[is_zero].any()


@needs_tensorflow
def test_compiled_by_xla():
    import tensorflow as tf

    kernel = tf.Variable([[3.0, 0.0], [4.0, 0.0]])

    @tf.function(jit_compile=True)
    def gradient():
        with tf.GradientTape() as tape:
            penalty = GroupLasso(0.5, "channel")(kernel)
        return tape.gradient(penalty, kernel)

    np.testing.assert_allclose(gradient(), [[0.3, 0], [0.4, 0]], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_in_other_precisions(dtype):
    # The squares are 0 in half precision.
    variable = keras.Variable([[3e-4, 0], [4e-4, 0]], dtype=dtype)
    penalty = GroupLasso(1, "channel")
    np.testing.assert_allclose(float(penalty(variable)), 5e-4, rtol=1e-2)
    gradient = gradient_of(lambda: penalty(variable), variable)
    np.testing.assert_allclose(
        gradient.astype("float32"), [[0.6, 0], [0.8, 0]], rtol=1e-2
    )


def test_sums():
    lasso = GroupLasso(0.5, "channel") + GroupLasso(0.1, "shape")
    assert isinstance(lasso, Sum)
    rows = np.sqrt(10) + 4
    expected = 0.5 * 6 + 0.1 * rows
    np.testing.assert_allclose(float(lasso(MATRIX)), expected, rtol=1e-6)
    l1, l2 = keras.regularizers.L1(0.25), keras.regularizers.L2(0.5)
    several = l1 + (lasso + l2)
    assert len(several.regularizers) == 4
    expected += 0.25 * 8 + 0.5 * 26
    np.testing.assert_allclose(float(several(MATRIX)), expected, rtol=1e-6)
    both = Sum(["l1", None, l2])
    np.testing.assert_allclose(float(both(MATRIX)), 0.08 + 13, rtol=1e-6)


def test_they_are_saved():
    for given_one in [
        GroupLasso(0.5, "block:1x3"),
        GroupLasso(2, "channel", axes=(-2,)),
        GroupLasso(2, "layer", axes=()),
        GroupLasso(0.5, "shape") + keras.regularizers.L1(0.25),
    ]:
        config = keras.regularizers.serialize(given_one)
        loaded = keras.regularizers.get(config)
        assert type(loaded) is type(given_one)
        assert loaded.get_config() == given_one.get_config()
        assert float(loaded(MATRIX)) == float(given_one(MATRIX))
        layer = keras.layers.Dense(3, kernel_regularizer=given_one)
        layer = keras.layers.Dense.from_config(layer.get_config())
        layer.build((None, 2))
        layer.kernel.assign(MATRIX)
        assert float(layer.losses[0]) == float(given_one(MATRIX))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"strength": -1}, "`strength` must be.*strength=-1"),
        ({"strength": np.inf}, "strength=inf"),
        ({"strength": True}, "strength=True"),
        ({"granularity": "row"}, "one of element.*granularity='row'"),
        ({"granularity": "2:4"}, "single ones.*granularity='2:4'"),
        ({"axes": (0.5,)}, r"`axes` must be integers.*axes=\(0.5,\)"),
        ({"axes": (0,), "granularity": "block:2x2"}, "not block:HxW"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GroupLasso(**{"strength": 0.1, **arguments})


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"axes=\(2,\), weight of shape"):
        GroupLasso(1, axes=(2,))(MATRIX)
    with pytest.raises(ValueError, match="without inputs"):
        GroupLasso(1, "input")(MATRIX[0])
    with pytest.raises(ValueError, match=r"`axes`.*shape \(2, 3\)"):
        GroupLasso(1, "input").fitted((2, 3), None)
    # These are the same, whatever axes stand for.
    assert values(GroupLasso(1, "layer").fitted((2, 3), None)(MATRIX)) > 0
