"""What examples say about a layer's channels, in one pass over data.

`contributions` is what ThiNet looks at, `window_moments` what regression
does, `responses` what PFA does. Sums are kept, in float64, and no samples;
which samples are drawn depends on the seed and the batches alone.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core import draws
from dsr_tf.core import memory
from dsr_tf.core.batches import input_batches
from dsr_tf.core.checks import is_integer
from dsr_tf.structure.graph.channels import Slice
from dsr_tf.structure.statistics.moments import Contributions
from dsr_tf.structure.statistics.moments import Responses
from dsr_tf.structure.statistics.moments import WindowMoments
from dsr_tf.structure.statistics.taps import Tap
from dsr_tf.structure.statistics.taps import Taps
from dsr_tf.structure.statistics.windows import Windows
from dsr_tf.structure.statistics.windows import kernel_of
from dsr_tf.structure.statistics.windows import windows_of

_POOLS = {"max": ops.max, "mean": ops.mean}


def contributions(
    model: keras.Model,
    slices: Sequence[Slice],
    data: Any,
    num_places: int = 10,
    batch_size: int = 32,
    num_batches: int | None = None,
    seed: int | None = None,
) -> list[Contributions]:
    """What units add to the outputs of the layers that read them.

    A sample is a random position and a random filter of the output: what a
    unit adds to that number is the sum over the window of its inputs times
    the kernel. All channels together make the number, but for the bias (Luo,
    Wu & Lin, ICCV 2017, section 3.2). Layers may stand anywhere in the
    model; of one that is called several times all calls are sampled.

    Args:
        model: A built Keras model.
        slices: Slices with role `"in"` of kernels of `Dense`, `Conv1D`,
            `Conv2D` or `Conv3D` layers, masked or not. All are looked at in
            the same pass.
        data: Examples, as `dsr_tf.core.batches.input_batches` takes them.
        num_places: Samples an example, drawn with replacement.
        batch_size: Examples a batch, where `data` is arrays.
        num_batches: How many batches to read at most.
        seed: Integer that samples are drawn from; None draws a fresh one.

    Returns:
        For each slice the `Contributions`, `y` being what all of its units
        add together.

    Raises:
        TypeError, ValueError: if an argument is out of range, a layer is of
            another kind, or the model does not call it.
    """
    for one in slices:
        if one.role != "in":
            raise ValueError(
                "`slices` must be of layers that sum over the units, with role "
                f"'in'. Received: one of layer '{one.layer.name}' with role "
                f"{one.role!r}"
            )
    layers = [one.layer for one in slices]
    kernels = [kernel_of(layer) for layer in layers]
    grams = [np.zeros((len(one.positions),) * 2) for one in slices]
    numbers = [0] * len(slices)
    for generators, (found,) in _windows_of_batches(
        [(model, layers)], data, num_places, batch_size, num_batches, seed
    ):
        for index, calls in enumerate(found):
            for windows in calls:
                filters = generators[index].integers(
                    kernels[index].shape[-1], size=windows.shape[:2]
                )
                added = _added(windows, kernels[index], filters)
                x = added[:, slices[index].positions].sum(axis=-1)
                grams[index] += x.T @ x
                numbers[index] += len(x)
    return [
        Contributions(gram, gram.sum(axis=1), float(gram.sum()), number)
        for gram, number in zip(grams, numbers)
    ]


def window_moments(
    model: keras.Model,
    layer: keras.layers.Layer,
    data: Any,
    original: tuple[keras.Model, keras.layers.Layer] | None = None,
    num_places: int = 10,
    batch_size: int = 32,
    num_batches: int | None = None,
    seed: int | None = None,
) -> WindowMoments:
    """The inputs of a layer's windows, and the outputs that it should make.

    Taken at random places; of each, all inputs of the window, and all
    outputs.

    Args:
        model: A built Keras model.
        layer: A layer of it, of a kind that `contributions` takes.
        data: Examples, as `dsr_tf.core.batches.input_batches` takes them.
        original: A model and its layer whose outputs, without the bias, are
            the targets: at the same places of the same examples. By default
            they are the layer's own.
        num_places: Places an example, drawn with replacement.
        batch_size: Examples a batch, where `data` is arrays.
        num_batches: How many batches to read at most.
        seed: Integer that places are drawn from; None draws a fresh one.

    Returns:
        The `WindowMoments`.

    Raises:
        TypeError, ValueError: as `contributions`; also if the layers do not
            fit each other, or the moments do not fit into memory.
    """
    models = [(model, [layer])]
    if original is not None:
        models.append((original[0], [original[1]]))
    kernel = kernel_of(layer)
    num_inputs, num_filters = kernel.shape[0] * kernel.shape[1], len(kernel.T)
    target_kernel = kernel_of(models[-1][1][0]).astype("float64")
    if target_kernel.shape[::2] != kernel.shape[::2]:
        raise ValueError(
            "`original` must have a layer with the windows and filters of "
            f"'{layer.name}', {kernel.shape[::2]}. Received: one with "
            f"{target_kernel.shape[::2]}"
        )
    memory.check(
        8 * (num_inputs + 1) * (num_inputs + 1 + num_filters),
        f"The moments of the {num_inputs:,} inputs of layer '{layer.name}'",
    )
    xx = np.zeros((num_inputs + 1, num_inputs + 1))
    xy = np.zeros((num_inputs + 1, num_filters))
    energy = 0.0
    for _, found in _windows_of_batches(
        models, data, num_places, batch_size, num_batches, seed
    ):
        for windows, targets in zip(found[0][0], found[-1][0], strict=True):
            x = windows.reshape(-1, num_inputs).astype("float64")
            x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
            y = targets.reshape(len(x), -1) @ target_kernel.reshape(
                -1, num_filters
            )
            xx += x.T @ x
            xy += x.T @ y
            energy += float(np.sum(y**2))
    return WindowMoments(xx, xy, energy)


def responses(
    model: keras.Model,
    layers: Sequence[keras.layers.Layer],
    data: Any,
    pool: str = "max",
    batch_size: int = 32,
    num_batches: int | None = None,
) -> list[Responses]:
    """How the outputs of layers vary together, an observation an example.

    Args:
        model: A built Keras model.
        layers: Layers anywhere in it, with one output each.
        data: Examples, as `dsr_tf.core.batches.input_batches` takes them.
        pool: What of the positions of an output is the response: `"max"` or
            `"mean"` (Suau et al. 2018, section 3).
        batch_size: Examples a batch, where `data` is arrays.
        num_batches: How many batches to read at most.

    Returns:
        For each layer the `Responses` of its output channels.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the model
            does not call a layer.
    """
    if pool not in _POOLS:
        raise ValueError(
            f"`pool` must be one of {', '.join(_POOLS)}. Received: "
            f"pool={pool!r}"
        )
    taps = Taps(model, [(layer, _pooled(layer, pool)) for layer in layers])
    nothing = np.zeros(1, "float32")
    found: list[list[Responses]] = [[] for _ in layers]
    for inputs in input_batches(data, batch_size, num_batches):
        for index, calls in enumerate(
            taps.read(inputs, [nothing] * len(layers))
        ):
            for rows in calls:
                own = Responses.of(rows)
                found[index] = [sum(found[index], start=own)]
    return [own for (own,) in found]


def _windows_of_batches(
    models: Sequence[tuple[keras.Model, Sequence[keras.layers.Layer]]],
    data: Any,
    num_places: int,
    batch_size: int,
    num_batches: int | None,
    seed: int | None,
) -> Iterator[tuple[list[np.random.Generator], list[list[list[np.ndarray]]]]]:
    """Windows at the same random places of the layers of some models.

    Returns:
        Iterator over batches. For each layer, the generator that its places
        were drawn with, and for each model and layer a list of windows, an
        array `(examples, places, positions, channels)` for each call.
    """
    if not is_integer(num_places) or num_places < 1:
        raise ValueError(
            "`num_places` must be a positive integer. Received: "
            f"num_places={num_places!r}"
        )
    seed = draws.check_seed(seed)
    windows = [[windows_of(layer) for layer in layers] for _, layers in models]
    taps = [
        Taps(model, list(zip(layers, map(_taken, own))))
        for (model, layers), own in zip(models, windows)
    ]
    for count, inputs in enumerate(
        input_batches(data, batch_size, num_batches)
    ):
        number = len(keras.tree.flatten(inputs)[0])
        generators = [
            draws.generator(seed, count, stream)
            for stream in range(len(windows[0]))
        ]
        places = [
            generator.random((number, num_places, len(own.size)), "float32")
            for generator, own in zip(generators, windows[0])
        ]
        yield generators, [own.read(inputs, places) for own in taps]


def _taken(windows: Windows) -> Tap:
    return lambda inputs, outputs, places: windows.take(inputs, places)


def _pooled(layer: keras.layers.Layer, pool: str) -> Tap:
    def pooled(inputs: Any, outputs: Any, _: Any) -> Any:
        if isinstance(outputs, (list, tuple, dict)):
            raise ValueError(
                "Responses are those of layers with one output. Received: "
                f"'{layer.name}' of type {type(layer).__name__}"
            )
        is_first = getattr(layer, "data_format", None) == "channels_first"
        channels = 1 if is_first else len(outputs.shape) - 1
        space = [a for a in range(1, len(outputs.shape)) if a != channels]
        return _POOLS[pool](outputs, axis=space) if space else outputs

    return pooled


def _added(
    windows: np.ndarray, kernel: np.ndarray, filters: np.ndarray
) -> np.ndarray:
    """What each channel adds to one output of each window.

    Args:
        windows: Array `(N, S, K, C)`.
        kernel: Array `(K, C, F)`.
        filters: Integers `(N, S)`.

    Returns:
        float64 `(N * S, C)`.
    """
    # Place by place: the kernel is copied for each example.
    added = [
        np.einsum(
            "nkc,kcn->nc",
            windows[:, place].astype("float64"),
            kernel[:, :, filters[:, place]],
        )
        for place in range(windows.shape[1])
    ]
    return np.concatenate(added)
