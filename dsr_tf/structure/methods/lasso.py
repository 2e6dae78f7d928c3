"""Channels by the LASSO, weights by least squares (He et al., 2017)."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.selection import Filters
from dsr_tf.core import draws
from dsr_tf.layers import Masked
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.structure.choice.amount import Share
from dsr_tf.structure.choice.amount import candidates
from dsr_tf.structure.choice.amount import numbers_kept
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.channels import Slice
from dsr_tf.structure.graph.following import Following
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.removal.layerwise import one_by_one
from dsr_tf.structure.removal.layerwise import why_not_read
from dsr_tf.structure.statistics import solvers
from dsr_tf.structure.statistics.moments import WindowMoments
from dsr_tf.structure.statistics.probe import window_moments
from dsr_tf.structure.statistics.windows import kernel_of


def lasso(
    model: keras.Model,
    data: Any,
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    filters: Filters = None,
    num_places: int = 10,
    batch_size: int = 32,
    num_batches: int | None = None,
    multiple_of: int = 1,
    seed: int | None = None,
    after_each: Callable[[keras.Model], None] | None = None,
) -> keras.Model:
    """Choose channels by LASSO regression, and fit what reads them anew.

    "Channel pruning for accelerating very deep neural networks" (He, Zhang &
    Sun, ICCV 2017), section 3, and the authors' code,
    `yihui-he/channel-pruning`: `lib/decompose.py`. From the first layer to
    the last: the LASSO chooses among the channels that the next layer reads,
    by what each adds to its outputs; then all weights that read those that
    stay are fitted by least squares to the outputs that the layer had in the
    whole network, so they make up for what was lost before as well.

    As in the code, that is done once and not in turns; the constant of the
    fit is added to the layer's bias, or where it has none, taken off the
    moving mean of the normalization that follows; where there is neither,
    the fit goes without. Other than there, the LASSO looks at all samples
    and not at 400, and keeps just as many channels as it is told to. In
    residual networks channels inside of the branches go; the inputs of a
    branch are not selected, nor its last layer fitted to the error of the
    sum.

    Args:
        model: A built functional or Sequential model, not changed.
        data: Examples, as `dsr_tf.core.batches.input_batches` takes them;
            they are read again for each layer. (The authors take 5,000.)
        share: Share of the channels of a layer that stay, in (0, 1], rounded
            down; or a dict from regular expressions to such: the first
            counts that finds something in the path of the layer that makes
            the channels, and where none does, all stay.
        parameters, macs: Budget in place of `share`: numbers of parameters
            and multiply-adds that the network must not be above. All layers
            then keep the same share.
        filters: Regular expression, list of these, or function of a layer:
            which layers lose channels. By default all whose channels meet no
            others' in a sum, and are read by dense layers or convolutions
            without masks.
        num_places: Positions of each output for each example.
        batch_size: Examples a batch, where `data` is arrays.
        num_batches: How many batches to read at most for each layer.
        multiple_of: See `choose.to_budget`.
        seed: Integer that positions are drawn from; None draws a fresh one.
        after_each: Function that is called with the network after each layer
            that lost channels, such as to train it.

    Returns:
        The narrow network.

    Raises:
        TypeError, ValueError: if an argument is out of range, no channels
            can go, or the moments of a layer's inputs do not fit into memory.
    """
    seed = draws.check_seed(seed)
    structure = Structure(model)
    sets = candidates(structure, "lasso", filters, reason=_why_not_fitted)
    numbers = numbers_kept(
        structure, sets, share, parameters, macs, multiple_of
    )
    originals = {path: layer for layer, path in layers_with_paths(model)}

    def choose(now: Structure, found: ChannelSet, number: int) -> np.ndarray:
        slices = found.with_role("in")
        layers = [originals[now.trace.path_of(one.layer)] for one in slices]
        moments = [
            window_moments(
                now.model,
                one.layer,
                data,
                (model, layer),
                num_places,
                batch_size,
                num_batches,
                seed,
            )
            for one, layer in zip(slices, layers)
        ]
        first, *others = (
            own.contributions(kernel_of(one.layer), one.positions)
            for one, own in zip(slices, moments)
        )
        total = sum(others, start=first)
        kept = solvers.lasso_path(total.gram, total.b, number)
        for one, own, layer in zip(slices, moments, layers):
            _fit(now, one, own, kept, layer, originals)
        return kept

    return one_by_one(model, numbers, choose, after_each)


def _why_not_fitted(found: ChannelSet) -> str:
    for one in found.with_role("in"):
        if isinstance(one.layer, Masked):
            return (
                f"the kernel of {one.layer.name}, which reads them, is masked"
            )
    return why_not_read(found)


def _fit(
    structure: Structure,
    one: Slice,
    moments: WindowMoments,
    kept: np.ndarray,
    original: keras.layers.Layer,
    originals: dict[str, keras.layers.Layer],
) -> None:
    """Fit a layer's weights to the original's outputs, on what is kept."""
    layer = one.layer
    window, num_channels, num_filters = kernel_of(layer).shape
    stays = np.ones(num_channels, "bool")
    stays[one.positions[~kept]] = False
    stays = np.tile(stays, window)
    # What takes the constant, what it had, and its sign there.
    taker, had, sign = None, None, 1
    if layer.use_bias:
        taker, had = layer.bias, original.bias
    elif normalization := Following(structure).normalization_after(layer):
        path = structure.trace.path_of(normalization)
        taker, sign = normalization.moving_mean, -1
        had = originals[path].moving_mean
    fitted, constant = solvers.reconstruct(
        moments.xx, moments.xy, stays, intercept=taker is not None
    )
    kernel = np.zeros((window * num_channels, num_filters))
    kernel[stays] = fitted
    layer.kernel.assign(kernel.reshape(layer.kernel.shape))
    if taker is not None:
        had = ops.convert_to_numpy(had).astype("float64")
        taker.assign(had + sign * constant)
