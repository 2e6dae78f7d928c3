"""`sparsify`: a model with masked kernels from a dense one."""

import math
from collections.abc import Mapping
from typing import Any

import keras
from absl import logging
from keras import ops

from dsr_tf.conversion.graph import compile_like
from dsr_tf.conversion.inplace import prepared
from dsr_tf.conversion.inplace import scope_of
from dsr_tf.conversion.mask_plan import MaskPlan
from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import Predicate
from dsr_tf.conversion.selection import also_held_by
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.selection import reason_to_skip
from dsr_tf.conversion.selection import refuse_nothing_to_do
from dsr_tf.conversion.selection import report
from dsr_tf.conversion.state import own_variables
from dsr_tf.conversion.storage import Rooms
from dsr_tf.conversion.storage import check_storage
from dsr_tf.core import granularity as granularities
from dsr_tf.core import optimizer_slots
from dsr_tf.layers import HELD_KINDS
from dsr_tf.layers import HOLDING_KINDS
from dsr_tf.layers import MASKED_KINDS
from dsr_tf.layers import MaskedWeight
from dsr_tf.layers import masked_weights
from dsr_tf.layers.in_place import mask_layer
from dsr_tf.layers.in_place import unmask_layer
from dsr_tf.layers.parts import forget_parts
from dsr_tf.layers.parts import mask_parts
from dsr_tf.layers.storages import MASKED
from dsr_tf.layers.summary import sparsity_summary


def sparsify(
    model: keras.Model,
    sparsity: float | None = None,
    distribution: str | Mapping[str, float] = "uniform",
    filters: Filters = None,
    granularity: str | granularities.Granularity = "element",
    mask: str = "random",
    seed: int | None = None,
    parameters: int | None = None,
    sparsity_of: str = "masked",
    data: Any = None,
    loss: Any = None,
    inplace: bool = False,
    rescale: bool = False,
    storage: str = MASKED,
    slack: float | None = None,
) -> keras.Model:
    """A copy of a model whose kernels are masked, ready for sparse training.

    Every layer of a kind in `dsr_tf.layers` becomes its masked kind and
    keeps its name and its weights, wherever it is: in models, wrappers,
    blocks of your own. All other layers are copied as they are, with all
    that they keep: statistics, vocabularies, seeds. At sparsity 0 the copy
    computes what `model` does, to the bit. It must be compiled before it is
    trained. `model` is not changed, unless with `inplace`.

    Args:
        model: A built Keras model: Sequential, functional, or of a class of
            your own that is made again from its configuration, or from
            attributes named as the arguments of its constructor.
        sparsity: Share of inactive weights over all kernels that become
            masked, together, in [0, 1). The number of active weights is
            `round((1 - sparsity) * num_weights)`, exactly. Either it or
            `parameters` is given. With granularity N:M it must be 1 - N/M;
            or 0, to start gradual pruning from.
        distribution: How the budget is shared at the start: `"uniform"`,
            the same density in every kernel; `"er"` or `"erk"`, denser the
            smaller the kernel; or a dict `{regular expression: sparsity}`
            for some kernels by path, see `dsr_tf.core.distribution`. With
            an entry `"rest"` for all others the total follows, and neither
            `sparsity` nor `parameters` is given. With granularity N:M it
            must be `"uniform"`.
        filters: Which layers to mask: a regular expression searched for in
            the names that lead to the layer, such as `"encoder/attention"`,
            a list of such, or a callable that receives the layer; None for
            all.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"head"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        mask: `"random"`; `"magnitude"` to keep the largest weights of each
            kernel of a trained model; `"global_magnitude"`, the largest of
            all kernels together; or `"snip"`, those that the loss of `data`
            depends on most (Lee et al., 2019). The last two share the budget
            themselves. See `dsr_tf.conversion.initial_masks`.
        seed: Integer that random masks are drawn from; None draws one.
        parameters: Number of active parameters of the whole model, as
            `sparsity_summary` counts them; where groups of several weights
            cannot meet it, less by less than the largest.
        sparsity_of: What `sparsity` is a share of: `"masked"`, the kernels
            that become masked, or `"model"`, all parameters of the model.
        data: For `"snip"`: a batch `(x, y)` of arrays or tensors, inputs and
            targets. The model sees it in inference mode.
        loss: For `"snip"`: what `compile` takes; None for the loss that the
            model is compiled with.
        inplace: Whether to convert the layers of `model` itself, and return
            it: for models that cannot be copied.
        rescale: Whether to divide each kernel by the square root of its
            density, for models that are not trained yet: sums of fewer
            weights are then as large as those of all were.
        storage: `"masked"`, whole weights and masks; or how layers that can
            store and multiply active weights only do so, see `with_storage`.
        slack: See `with_storage`.

    Returns:
        The sparse model. Its attribute `skipped_layers` maps the path of
        each layer with weights that stayed dense to the reason.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, is not built, holds no
            layer to mask or one whose state cannot be copied, cannot have
            so few active weights, or an argument is out of range.
    """
    check_model(model, "sparsify")
    check_storage(storage, slack)
    granularity = granularities.get(granularity)
    plan = MaskPlan(
        model,
        sparsity,
        parameters,
        sparsity_of,
        distribution,
        mask,
        seed,
        data,
        loss,
        granularity,
    )
    wanted = Predicate(filters)
    skipped: dict[str, str] = {}
    converted: set[keras.layers.Layer] = set()
    paths: list[str] = []

    def visit(
        layer: keras.layers.Layer, path: str, head_axes: dict[str, int] | None
    ) -> bool:
        paths.append(path)
        reason = reason_to_skip(layer, MASKED_KINDS)
        if not reason and not wanted(layer, path):
            reason = "the filters leave it out"
        reason = reason or also_held(layer)
        if not reason:
            try:
                mask_layer(
                    layer,
                    plan.layer_sparsity,
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
    also_held = also_held_by(sparse)
    try:
        with scope_of(sparse):
            mask_parts(sparse, visit)
        wanted.check_all_found(paths)
        # Layers that were masked before keep the masks that they had.
        weights = [w for w in masked_weights(sparse) if w.layer in converted]
        if not weights:
            refuse_nothing_to_do(model, "mask", skipped, filters)
        rooms = Rooms(storage, slack)
        rooms.check(weights)
        masks = plan.masks(sparse, weights, rooms.make)
    except BaseException:  # Filters, losses and layers raise what they like.
        # All weights are active still, so nothing is lost.
        for layer in converted:
            unmask_layer(layer)
        forget_parts(sparse)
        raise
    for weight, chosen in zip(weights, masks):
        weight.set_mask(chosen)
        if rescale:
            _rescale(weight)
    with scope_of(sparse):
        rooms.store(weights)
    if any(weight.layer.storage != MASKED for weight in weights):
        compile_like(sparse, sparse)
    if inplace:
        _clear_slots(sparse, weights)
    report(sparse, "sparsify", skipped)
    _warn_of_dense_layers(sparse)
    return sparse


def _rescale(weight: MaskedWeight) -> None:
    """Give what a kernel makes of its inputs the variance that it had."""
    kernel = ops.convert_to_numpy(weight.kernel)
    factor = math.sqrt(weight.size / max(1, weight.num_active))
    weight.kernel.assign((kernel * factor).astype(kernel.dtype))


def _own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The variables of a layer that are not those of layers inside of it."""
    if type(layer) in HELD_KINDS or type(layer) in HOLDING_KINDS:
        return []  # What they have serves the layers inside.
    inside = {id(v) for part in layer._layers for v in part.variables}
    return [v for v in own_variables(layer) if id(v) not in inside]


def _clear_slots(model: keras.Model, weights: list[MaskedWeight]) -> None:
    """Let slots of inactive weights start afresh; they would move these."""
    optimizers = {
        getattr(p, "optimizer", None) for p in model._flatten_layers()
    }
    for optimizer in optimizers - {None}:
        for weight in weights:
            if weight.variable.is_stored:
                continue  # Of another shape, which it has no slots for.
            inactive = ~ops.convert_to_numpy(weight.mask).reshape(-1)
            optimizer_slots.start_afresh(
                optimizer, weight.kernel, weight.grouping, inactive
            )


def _warn_of_dense_layers(model: keras.Model) -> None:
    note = sparsity_summary(model).dense_note
    if note:
        logging.warning("sparsify: of model '%s' %s.", model.name, note)
