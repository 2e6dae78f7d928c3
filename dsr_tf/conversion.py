"""Whole-model verbs: `sparsify` a dense model, `strip` a sparse one."""

import re

import keras
import numpy as np
from absl import logging
from keras import ops

from dsr_tf import distribution as distributions
from dsr_tf import draws
from dsr_tf import granularity as granularities
from dsr_tf.layers import MASKED_KINDS
from dsr_tf.layers import Masked
from dsr_tf.layers import masked_weights

_DENSE_KINDS = {masked: dense for dense, masked in MASKED_KINDS.items()}
_MASKS = ("random", "magnitude")


def sparsify(
    model,
    sparsity,
    distribution="uniform",
    filters=None,
    granularity="element",
    mask="random",
    seed=None,
):
    """A copy of a model whose kernels are masked, ready for sparse training.

    Every layer of a kind in `dsr_tf.layers` becomes its masked kind and
    keeps its name and its weights; all other layers are copied as they are.
    The copy must be compiled before it is trained. `model` is not changed.

    Args:
        model: A built Sequential or functional Keras model; models nested
            in it are converted too.
        sparsity: Share of inactive weights over all kernels that become
            masked, together, in [0, 1). The number of active weights is
            `round((1 - sparsity) * num_weights)`, exactly.
        distribution: How the budget is shared at the start: `"uniform"`,
            the same density in every kernel; `"er"` or `"erk"`, denser the
            smaller the kernel; or a dict `{regular expression: sparsity}`
            for some kernels by path, see `dsr_tf.distribution`.
        filters: Which layers to mask: a regular expression searched for in
            the layer's name, a list of such, or a callable that receives
            the layer; None for all.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"` or `"block:HxW"`, see `dsr_tf.granularity`.
        mask: `"random"`, or `"magnitude"` to keep the largest weights of
            each kernel of a trained model.
        seed: Integer that random masks are drawn from; None draws one.

    Returns:
        The sparse model. Its attribute `skipped_layers` maps the name of
        each layer with weights that stayed dense to the reason.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, is not built, holds no
            layer to mask, or an argument is out of range.
    """
    _check_model(model, "sparsify")
    sparsity = distributions.check_sparsity(sparsity)
    share_out = distributions.Distribution(distribution)
    granularity = granularities.get(granularity)
    seed = draws.check_seed(seed)
    if mask not in _MASKS:
        raise ValueError(
            f"`mask` must be one of {', '.join(_MASKS)}. Received: "
            f"mask={mask!r}"
        )
    wanted = _as_predicate(filters)
    skipped, converted = {}, set()

    def convert(layer):
        reason = _reason_to_skip(layer, wanted, granularity)
        if reason:
            if layer.weights:
                skipped[layer.name] = reason
            return type(layer).from_config(layer.get_config())
        config = layer.get_config()
        config.update(sparsity=sparsity, granularity=granularity.name)
        masked = MASKED_KINDS[type(layer)].from_config(config)
        converted.add(masked)
        return masked

    sparse = _rebuild(model, convert)
    # Layers that were masked before keep the masks that they had.
    weights = [w for w in masked_weights(sparse) if w.layer in converted]
    if not weights:
        raise ValueError(
            f"Model '{model.name}' has no layer to mask"
            + "".join(f"; {name}: {why}" for name, why in skipped.items())
            + f". Received: filters={filters!r}"
        )
    counts = share_out(
        [weight.path for weight in weights],
        [tuple(weight.kernel.shape) for weight in weights],
        [weight.group_size for weight in weights],
        sparsity,
    )
    for stream, (weight, count) in enumerate(zip(weights, counts)):
        _set_mask(weight, count, mask, draws.generator(seed, stream=stream))
    sparse.skipped_layers = skipped
    if skipped:
        logging.info(
            "sparsify left these layers dense: %s",
            "; ".join(f"{name} ({why})" for name, why in skipped.items()),
        )
    return sparse


def strip(model):
    """A copy of a sparse model made of Keras' own layers.

    Kernels are dense arrays with zeros where weights were inactive, so the
    copy computes the same and needs nothing of this package, neither to
    load nor to export. It does not keep masks: trained on, it fills up.

    Args:
        model: A built Sequential or functional model with masked layers.

    Returns:
        The dense model.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied or has no masked layers.
    """
    _check_model(model, "strip")
    if not masked_weights(model):
        raise ValueError(
            f"Model '{model.name}' has no masked layers: there is nothing "
            "to strip."
        )

    def convert(layer):
        config = layer.get_config()
        kind = _DENSE_KINDS.get(type(layer))
        if kind is None:
            return type(layer).from_config(config)
        for name in ("sparsity", "granularity", "seed"):
            del config[name]
        return kind.from_config(config)

    return _rebuild(model, convert)


def _check_model(model, verb):
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`{verb}` takes a Keras model. Received: model={model!r} of "
            f"type {type(model).__name__}"
        )
    if not isinstance(model, keras.Sequential) and not _is_functional(model):
        raise ValueError(
            f"`{verb}` takes a Sequential or functional model: what a "
            "subclassed model does cannot be copied. Use the layers of "
            "`dsr_tf.layers` in its code instead. Received: "
            f"model={model.name!r} of type {type(model).__name__}"
        )
    if not model.built:
        raise ValueError(
            f"`{verb}` takes a built model: call it on data, or "
            "`model.build(input_shape)`, first. Received: "
            f"model={model.name!r}, not built"
        )


def _is_functional(model):
    # `keras.Model` made of inputs and outputs is of the class Functional;
    # a subclass of it that is more than that keeps no such promise.
    return type(model).__name__ == "Functional"


def _as_predicate(filters):
    if filters is None:
        return lambda layer: True
    if callable(filters):
        return filters
    patterns = [filters] if isinstance(filters, str) else filters
    try:
        patterns = [re.compile(pattern) for pattern in patterns]
    except (TypeError, re.error) as error:
        raise ValueError(
            "`filters` must be a regular expression, a list of them, or a "
            f"callable. Received: filters={filters!r} ({error})"
        ) from None
    return lambda layer: any(p.search(layer.name) for p in patterns)


def _reason_to_skip(layer, wanted, granularity):
    if isinstance(layer, Masked):
        return "it is masked already"
    if type(layer) not in MASKED_KINDS:
        return f"there is no masked kind of {type(layer).__name__}"
    if getattr(layer, "quantization_mode", None):
        return f"it is quantized to {layer.quantization_mode}"
    if not wanted(layer):
        return "the filters leave it out"
    name = MASKED_KINDS[type(layer)]._weight_name
    try:
        granularity.grouping(getattr(layer, name).shape)
    except ValueError:
        return f"blocks of {granularity.name} do not divide its kernel"
    return None


def _rebuild(model, convert):
    """Copy a model with each of its innermost layers converted."""
    copy = keras.models.clone_model(
        model, clone_function=convert, recursive=True
    )
    _copy_weights(model, copy)
    return copy


def _copy_weights(source, target):
    """Copy all weights, of kernels as the forward pass reads them."""
    if isinstance(source, keras.Model):
        for old, new in zip(source.layers, target.layers, strict=True):
            _copy_weights(old, new)
    elif type(source) is type(target):
        target.set_weights(source.get_weights())
    else:
        masked, dense = (
            (source, target) if isinstance(source, Masked) else (target, source)
        )
        name = masked._weight_name
        old = ops.convert_to_numpy(getattr(source, name))
        getattr(target, f"_{name}", getattr(target, name)).assign(old)
        if getattr(dense, "bias", None) is not None:
            target.bias.assign(ops.convert_to_numpy(source.bias))


def _set_mask(weight, num_active, kind, generator):
    """Give a kernel `num_active` active groups and zero the others."""
    kernel = ops.convert_to_numpy(weight.kernel)
    groups = weight.grouping.groups(kernel)
    if kind == "random":
        active = generator.choice(
            len(groups), num_active, replace=False, shuffle=False
        )
    else:
        scores = weight.grouping.scores(groups)
        active = np.argpartition(-scores, num_active - 1)[:num_active]
    mask = np.zeros(len(groups), "bool")
    mask[active] = True
    groups[~mask] = 0
    weight.mask.assign(mask.reshape(weight.mask.shape))
    weight.kernel.assign(weight.grouping.ungroup(groups))
