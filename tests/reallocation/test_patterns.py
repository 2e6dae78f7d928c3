"""Reallocation and pruning of kernels with N of every M weights active."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import dsr_tf
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.core.optimizer_slots import slots
from dsr_tf.pruning import PruningHyperparameters
from dsr_tf.pruning.gradual import Gradual
from dsr_tf.pruning.pruner import Pruner
from dsr_tf.reallocation.patterns import PatternBroken
from dsr_tf.reallocation.reallocator import Reallocator
from dsr_tf.reallocation.state import ReallocationState
from tests.conftest import assert_zero_outside_masks
from tests.conftest import by_hand_on_jax
from tests.conftest import values


def counts(weight):
    """The numbers of active weights that bundles of a kernel have."""
    bundles = weight.grouping.pattern.bundles(values(weight.mask))
    return set(bundles.sum(axis=1).tolist())


def network(inputs, window, units, name, sparsity, seed):
    """A convolution and a transposed one, whose inputs are another axis."""
    arguments = {"sparsity": sparsity, "granularity": name, "seed": seed}
    model = keras.Sequential(
        [
            keras.Input((4, inputs)),
            layers.SparseConv1D(units, window, padding="same", **arguments),
            layers.SparseConv1DTranspose(3, window, **arguments),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01))
    model.optimizer.build(model.trainable_variables)
    return model


def stir(model, generator):
    """As if a step had changed active weights, and filled slots."""
    for weight in layers.masked_weights(model):
        shape = weight.kernel.shape
        weight.kernel.assign(generator.normal(size=shape))
        weight.set_mask(values(weight.mask))
        for slot, _ in slots(model.optimizer, weight.kernel):
            slot.assign(generator.normal(size=shape))


def check_change(model, before):
    """Zeros, slots and what stayed, after a step from `before`.

    Yields each weight, what was pruned, what has grown, and the kernel that
    was, with a bundle a row.
    """
    assert_zero_outside_masks(model)
    for weight, (old_mask, old_kernel) in zip(
        layers.masked_weights(model), before
    ):
        mask, kernel = values(weight.mask), values(weight.kernel)
        pruned, grown = old_mask & ~mask, mask & ~old_mask
        stayed = mask & old_mask
        np.testing.assert_array_equal(kernel[stayed], old_kernel[stayed])
        assert not kernel[grown].any()
        for slot, fresh in slots(model.optimizer, weight.kernel):
            assert (values(slot)[pruned | grown] == fresh).all()
        rows = weight.grouping.pattern.bundles
        yield weight, rows(pruned), rows(grown), rows(old_kernel)


patterns = st.integers(2, 6).flatmap(
    lambda size: st.tuples(st.integers(1, size - 1), st.just(size))
)
shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
several = settings(
    # JAX compiles every operation for every shape.
    max_examples=12 if keras.backend.backend() == "tensorflow" else 3,
)


@by_hand_on_jax
@several
@given(
    patterns,
    shapes,
    st.sampled_from([methods.SET, methods.RigL]),
    st.floats(0.01, 0.99),
    st.integers(0, 99),
)
def test_methods_keep_the_pattern(pattern, shape, method, fraction, seed):
    num_active, size = pattern
    blocks, window, more = shape
    model = network(
        size * blocks,
        window,
        size * more,
        f"{num_active}:{size}",
        1 - num_active / size,
        seed,
    )
    weights = layers.masked_weights(model)
    ReallocationState(seed=seed).write(weights)
    reallocator = Reallocator(model, method(fraction))
    reallocator.check(model.optimizer)
    generator = np.random.default_rng(seed)
    for step in range(3):
        stir(model, generator)
        before = [(values(w.mask), values(w.kernel)) for w in weights]
        record = reallocator.step(model.optimizer, step)
        for weight, pruned, grown, _ in check_change(model, before):
            # As much in every bundle, so nothing was regrown.
            np.testing.assert_array_equal(pruned.sum(axis=1), grown.sum(axis=1))
            assert pruned.sum() == record.pruned[weight.path]
            assert grown.sum() == record.grown[weight.path]
            assert counts(weight) == {num_active}
        assert record.carry == 0


@several
@given(patterns, shapes, st.integers(0, 99))
def test_gradual_pruning_ends_at_the_pattern(pattern, shape, seed):
    num_active, size = pattern
    blocks, window, more = shape
    name = f"{num_active}:{size}"
    model = network(size * blocks, window, size * more, name, 0.0, seed)
    sparsity = 1 - num_active / size
    schedule = PruningHyperparameters(
        target_sparsity=sparsity, sparsity_function_end_step=4
    )
    pruner = Pruner(model, Gradual(schedule))
    generator = np.random.default_rng(seed)
    for step in range(5):
        stir(model, generator)
        weights = layers.masked_weights(model)
        before = [(values(w.mask), values(w.kernel)) for w in weights]
        pruner.step(model.optimizer, step)
        kept = round((1 - schedule.sparsity_at(step)) * size)
        for weight, pruned, grown, kernel in check_change(model, before):
            assert not grown.any()
            assert counts(weight) == {max(num_active, kept)}
            mask = weight.grouping.pattern.bundles(values(weight.mask))
            least = np.where(mask, np.abs(kernel), np.inf).min(axis=1)
            assert (np.abs(kernel) * pruned <= least[:, None]).all()
    assert kept == num_active


def mixed():
    """Kernels of three granularities, with groups of 1, 4 and 1 weights."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.SparseDense(8, 0.5, "2:4", seed=0, name="a"),
            layers.SparseDense(6, 0.5, "block:2x2", seed=1, name="b"),
            layers.SparseDense(5, 0.7, seed=2, name="c"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("method", [methods.SET(0.4), methods.RigL(0.4, None)])
def test_a_model_of_several_granularities(method):
    model = mixed()
    a, b, c = layers.masked_weights(model)
    active = [w.num_active for w in (a, b, c)]
    reallocator = Reallocator(model, method)
    generator = np.random.default_rng(0)
    for step in range(5):
        stir(model, generator)
        record = reallocator.step(model.optimizer, step)
        assert counts(a) == {2}
        assert [w.num_active for w in (a, b, c)] == active
        assert list(record.grown.values()) == list(record.pruned.values())
        assert all(record.grown.values())


@pytest.mark.parametrize(
    "method", [methods.DSR(5), methods.SNFS(0.3, None), methods.DeepR(1e-3)]
)
def test_methods_that_cannot_keep_it_are_refused(method):
    name = type(method).__name__
    message = f"{name} moves.*`granularity` '2:4'.*RigL, SET, Static.*a/kernel"
    if name == "DeepR" and keras.backend.backend() != "tensorflow":
        pytest.skip("refused before, on this backend")
    model = mixed()
    with pytest.raises(ValueError, match=message):
        Reallocator(model, method).check(model.optimizer)


def test_frozen_kernels_are_no_obstacle():
    model = mixed()
    model.get_layer("a").trainable = False
    Reallocator(model, methods.DSR(5)).check(model.optimizer)


def test_a_mask_that_something_else_has_changed():
    model = mixed()
    weight = layers.masked_weights(model)[0]
    mask = values(weight.mask).copy()
    column = mask[:4, 0]
    column[:] = [True, True, True, False]
    weight.mask.assign(mask)
    with pytest.raises(PatternBroken, match="a/kernel has from 2 to 3 active"):
        Reallocator(model, methods.SET(0.4)).step(model.optimizer, 0)


def test_a_method_that_only_says_so_is_found_out():
    class Anywhere(methods.SET):
        def grow(self, kernel, num_grown_groups, generator):
            return np.arange(num_grown_groups)

    model = mixed()
    before = [values(w.mask) for w in layers.masked_weights(model)]
    with pytest.raises(PatternBroken, match="Anywhere.*broke.*'2:4' of a/ker"):
        Reallocator(model, Anywhere(0.4)).step(model.optimizer, 0)
    for weight, mask in zip(layers.masked_weights(model), before):
        np.testing.assert_array_equal(values(weight.mask), mask)


REFUSED_SCHEDULES = {
    "another sparsity": (
        {"target_sparsity": 0.9},
        "`target_sparsity`.*must be 0.5 with granularity '2:4' of a/kernel",
    ),
    "another by its path": (
        {"weight_sparsity_map": {"^a/": 0.25}},
        "must be 0.5.*Received: sparsity=0.25",
    ),
    "a threshold": ({"threshold_decay": 0.5}, "`threshold_decay` must be 0"),
    "blocks": ({"block_height": 2}, "need masks of granularity 'element'"),
    "an early end": (
        {"end_pruning_step": 20},
        "`end_pruning_step` must leave no more than 2 of every 4.*leaves 3",
    ),
}


@pytest.mark.parametrize("name", REFUSED_SCHEDULES)
def test_schedules_that_do_not_lead_there(name):
    given_by, message = REFUSED_SCHEDULES[name]
    model = keras.Sequential(
        [keras.Input((8,)), layers.SparseDense(4, 0.0, "2:4", name="a")]
    )
    with pytest.raises(ValueError, match=message):
        Pruner(model, Gradual(PruningHyperparameters(**given_by)))


def test_a_sparsity_by_path_that_does():
    model = mixed()
    schedule = PruningHyperparameters(
        target_sparsity=0.8, weight_sparsity_map={"^a/": 0.5}
    )
    assert len(Pruner(model, Gradual(schedule)).trained) == 3


FIT = {
    "set": lambda: dsr_tf.callbacks.Reallocation(methods.SET(0.3), 5, seed=0),
    "rigl": lambda: dsr_tf.callbacks.Reallocation(
        methods.RigL(0.3, None), 5, seed=0
    ),
    "static": lambda: dsr_tf.callbacks.Reallocation(methods.Static(), 5),
    "gradual": lambda: dsr_tf.callbacks.GradualPruning(
        target_sparsity=0.5,
        pruning_frequency=5,
        sparsity_function_end_step=15,
    ),
}


@pytest.mark.parametrize("name", FIT)
def test_fit_and_files(name, data, tmp_path):
    """Training keeps 2:4, in a file and after it too, to the bit."""
    dense = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(20, activation="relu", name="a"),
            keras.layers.Dense(3, name="b"),
        ]
    )
    start = 0.0 if name == "gradual" else 0.5
    model = dsr_tf.sparsify(dense, start, granularity="2:4", seed=0)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    first = [values(w.mask) for w in layers.masked_weights(model)]

    def fit(model):
        model.fit(
            *data, 8, 1, shuffle=False, verbose=0, callbacks=[FIT[name]()]
        )
        assert_zero_outside_masks(model)
        assert [counts(w) for w in layers.masked_weights(model)] == [{2}, {2}]

    fit(model)
    now = [values(w.mask) for w in layers.masked_weights(model)]
    has_moved = any((a != b).any() for a, b in zip(first, now))
    assert has_moved == (name != "static")
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for again in (model, loaded):
        fit(again)
    for a, b in zip(model.variables, loaded.variables):
        np.testing.assert_array_equal(values(a), values(b), err_msg=a.path)
