"""`sparsify`: a model with masked kernels from a dense one."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.inplace import prepared
from dsr_tf.conversion.inplace import scope_of
from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import as_predicate
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.selection import reason_to_skip
from dsr_tf.conversion.selection import refuse_nothing_to_do
from dsr_tf.conversion.selection import report
from dsr_tf.core import distribution as distributions
from dsr_tf.core import draws
from dsr_tf.core import granularity as granularities
from dsr_tf.layers import HELD_KINDS
from dsr_tf.layers import HOLDING_KINDS
from dsr_tf.layers import MASKED_KINDS
from dsr_tf.layers import MaskedWeight
from dsr_tf.layers import masked_weights
from dsr_tf.layers.in_place import mask_layer
from dsr_tf.layers.in_place import unmask_layer
from dsr_tf.layers.parts import forget_parts
from dsr_tf.layers.parts import mask_parts

_MASKS = ("random", "magnitude")


def sparsify(
    model: keras.Model,
    sparsity: float,
    distribution: str | Mapping[str, float] = "uniform",
    filters: Filters = None,
    granularity: str | granularities.Granularity = "element",
    mask: str = "random",
    seed: int | None = None,
    inplace: bool = False,
) -> keras.Model:
    """A copy of a model whose kernels are masked, ready for sparse training.

    Every layer of a kind in `dsr_tf.layers` becomes its masked kind and
    keeps its name and its weights; all other layers are copied as they are,
    with all that they keep: statistics, vocabularies, seeds. At sparsity 0
    the copy computes what `model` does, to the bit. It must be compiled
    before it is trained. `model` is not changed.

    Args:
        model: A built Sequential or functional Keras model; models nested
            in it, and what is in `TimeDistributed`, are converted too.
        sparsity: Share of inactive weights over all kernels that become
            masked, together, in [0, 1). The number of active weights is
            `round((1 - sparsity) * num_weights)`, exactly. With granularity
            N:M it must be 1 - N/M; or 0, to start gradual pruning from.
        distribution: How the budget is shared at the start: `"uniform"`,
            the same density in every kernel; `"er"` or `"erk"`, denser the
            smaller the kernel; or a dict `{regular expression: sparsity}`
            for some kernels by path, see `dsr_tf.core.distribution`. With
            granularity N:M it must be `"uniform"`.
        filters: Which layers to mask: a regular expression searched for in
            the layer's name, a list of such, or a callable that receives
            the layer; None for all.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"`, `"block:HxW"` or `"N:M"`, see
            `dsr_tf.core.granularity`.
        mask: `"random"`, or `"magnitude"` to keep the largest weights of
            each kernel of a trained model.
        seed: Integer that random masks are drawn from; None draws one.

    Returns:
        The sparse model. Its attribute `skipped_layers` maps the name of
        each layer with weights that stayed dense to the reason.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, is not built, holds no
            layer to mask or one whose state cannot be copied, or an
            argument is out of range.
    """
    check_model(model, "sparsify")
    granularity = granularities.get(granularity)
    sparsity = granularity.check_sparsity(sparsity)
    share_out = distributions.Distribution(distribution)
    if granularity.pattern is not None and distribution != "uniform":
        raise ValueError(
            "`distribution` must be uniform with granularity "
            f"{granularity.name!r}, which says how many weights are active "
            f"everywhere. Received: distribution={distribution!r}"
        )
    seed = draws.check_seed(seed)
    if mask not in _MASKS:
        raise ValueError(
            f"`mask` must be one of {', '.join(_MASKS)}. Received: "
            f"mask={mask!r}"
        )
    wanted = as_predicate(filters)
    skipped: dict[str, str] = {}
    converted: set[keras.layers.Layer] = set()

    def visit(
        layer: keras.layers.Layer, path: str, head_axes: dict[str, int] | None
    ) -> bool:
        reason = reason_to_skip(layer, MASKED_KINDS)
        if not reason and not wanted(layer, path):
            reason = "the filters leave it out"
        if not reason:
            try:
                mask_layer(
                    layer,
                    sparsity,
                    granularity,
                    head_axes=head_axes,
                    draw=False,
                )
            except granularities.DoesNotFit as error:
                reason = error.reason
        if not reason:
            converted.add(layer)
        elif _own_weights(layer):
            skipped[path or layer.name] = reason
        return not reason

    sparse = prepared(model, "sparsify", inplace)
    try:
        with scope_of(sparse):
            mask_parts(sparse, visit)
        # Layers that were masked before keep the masks that they had.
        weights = [w for w in masked_weights(sparse) if w.layer in converted]
        if not weights:
            refuse_nothing_to_do(model, "mask", skipped, filters)
        counts = share_out(
            [weight.path for weight in weights],
            [tuple(weight.kernel.shape) for weight in weights],
            [weight.group_size for weight in weights],
            sparsity,
        )
    except ValueError:
        # All weights are active still, so nothing is lost.
        for layer in converted:
            unmask_layer(layer)
        forget_parts(sparse)
        raise
    for stream, (weight, count) in enumerate(zip(weights, counts)):
        _set_mask(weight, count, mask, draws.generator(seed, stream=stream))
    report(sparse, "sparsify", skipped)
    return sparse


def _own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The variables of a layer that are not those of layers inside of it."""
    if type(layer) in HELD_KINDS or type(layer) in HOLDING_KINDS:
        return []  # What they have serves the layers inside.
    inside = {id(v) for part in layer._layers for v in part.variables}
    own = layer._trainable_variables + layer._non_trainable_variables
    return [v for v in own if id(v) not in inside]


def _set_mask(
    weight: MaskedWeight,
    num_active: int,
    kind: str,
    generator: np.random.Generator,
) -> None:
    """Give a kernel `num_active` active groups and zero the others."""
    if kind == "random":
        mask = weight.grouping.random_mask(num_active, generator)
    else:
        scores = weight.grouping.scores_of(weight.kernel)
        scores = ops.convert_to_numpy(scores)
        mask = weight.grouping.largest_mask(scores, num_active)
    weight.set_mask(mask)
