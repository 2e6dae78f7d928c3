"""`cluster`: a model whose kernels hold few different weights; and back."""

import functools
import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from dsr_tf.conversion.graph import Converting
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import Predicate
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.selection import refuse_nothing_to_do
from dsr_tf.conversion.selection import report
from dsr_tf.conversion.single import config_of
from dsr_tf.conversion.single import copy_layer
from dsr_tf.conversion.single import without_lora
from dsr_tf.core import draws
from dsr_tf.core import k_means
from dsr_tf.layers import CLUSTERED_KINDS
from dsr_tf.layers import DENSE_KINDS
from dsr_tf.layers import MASKED_KINDS
from dsr_tf.layers import Clustered
from dsr_tf.layers import Hashed
from dsr_tf.layers import Masked
from dsr_tf.layers import clustered_weights
from dsr_tf.layers import masked_weights
from dsr_tf.layers.clustered import check_bits
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.layers.masked_weights import refuse_stored
from dsr_tf.layers.parts import class_of

# Bits for all kernels, or for those in whose path an expression is found.
Bits = int | Mapping[str, int]


def cluster(
    model: keras.Model,
    bits: Bits,
    filters: Filters = None,
    start: str = "linear",
    seed: int | None = None,
) -> keras.Model:
    """A copy of a model whose kernels hold at most `2**bits` weights each.

    Deep Compression (Han et al., 2016, section 3): the weights of a trained
    and pruned kernel are clustered by k-means. Each is then that of its
    cluster, and training moves what clusters share. Zeros are pruned
    weights, which stay. Masked and dense layers become the clustered kinds;
    of a mask remains that its inactive weights are zeros.

    Args:
        model: A built Sequential or functional Keras model, not changed.
        bits: A kernel gets a codebook of `2**bits` weights; an integer from
            1 to 8, or a dict `{regular expression: integer}` for kernels in
            whose path the expression is found, where others stay as they
            are.
        filters: Which layers to cluster, as for `sparsify`.
        start: Where k-means starts, see `dsr_tf.core.k_means`: `"linear"`,
            which the paper finds best; `"quantile"` (its "density-based"),
            `"random"` (Forgy's), or `"best"`, the nearest of the three.
        seed: Integer that random starts are drawn from; None draws one.

    Returns:
        The clustered model, built; `skipped_layers` says by path which
        layers stayed as they were, and why.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if an argument is out of range, the model cannot be
            copied, no layer can be clustered, or weights are not finite.
    """
    check_model(model, "cluster")
    refuse_stored(model, "cluster")
    k_means.check_start(start)
    seed = draws.check_seed(seed)
    wanted = Predicate(filters)
    paths = {id(layer): path for layer, path in layers_with_paths(model)}
    wanted.check_all_found(paths.values())
    bits_of = _bits_of_kernels(bits, _kernels(model, paths))
    skipped: dict[str, str] = {}
    converted: list[Any] = []

    def convert(layer: Any) -> keras.layers.Layer:
        path = paths[id(layer)]
        own = {name: bits_of(f"{path}/{name}") for name in _names(layer)}
        reason = _reason_to_skip(layer, own)
        if not reason and not wanted(layer, path):
            reason = "the filters leave it out"
        if reason:
            if layer.weights:
                skipped[path] = reason
            return copy_layer(layer)
        dense_kind = DENSE_KINDS.get(type(layer), type(layer))
        config = config_of(layer)
        if isinstance(layer, Masked):
            _without_masks(config, layer)
        without_lora(config)
        found = set(own.values())
        config["bits"] = own if len(found) > 1 else found.pop()
        clustered = CLUSTERED_KINDS[dense_kind].from_config(config)
        generator = draws.generator(seed, stream=len(converted))
        vars(clustered)["cluster"] = functools.partial(
            k_means.k_means, start=start, generator=generator
        )
        converted.append(clustered)
        return clustered

    clustered = rebuild(model, Converting(convert))
    if not converted:
        refuse_nothing_to_do(model, "cluster", skipped, filters)
    report(clustered, "cluster", skipped)
    return clustered


def uncluster(model: keras.Model) -> keras.Model:
    """A copy of a clustered model with masked layers, ready for training.

    Kernels have the same values, a weight that was pruned is inactive, and
    each of the others is trained by itself. (`strip` makes Keras' own layers.)

    Args:
        model: A built model with clustered layers, not changed.

    Returns:
        The masked model.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, or has no such layers.
    """
    check_model(model, "uncluster")
    if not any(isinstance(x, Clustered) for x in model._flatten_layers()):
        raise ValueError(
            f"Model '{model.name}' has no clustered layers: there is nothing "
            "to uncluster."
        )
    new: set[keras.layers.Layer] = set()

    def convert(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, Clustered):
            return copy_layer(layer)
        config = config_of(layer)
        del config["bits"]
        masked = MASKED_KINDS[DENSE_KINDS[type(layer)]].from_config(
            {"seed": None, **config, "sparsity": 0.0}
        )
        new.add(masked)
        return masked

    masked = rebuild(model, Converting(convert))
    clustered = clustered_weights(model)
    for weight in masked_weights(masked):
        if weight.layer in new:
            codes = ops.convert_to_numpy(clustered[weight.path].codes)
            weight.set_mask(codes != 0)
    return masked


def _names(layer: Any) -> tuple[str, ...]:
    """The names of the kernels that a layer would have clustered."""
    dense_kind = DENSE_KINDS.get(type(layer), type(layer))
    if dense_kind not in CLUSTERED_KINDS:
        return ()
    own = {v.name for v in layer._trainable_variables}
    own |= {v.name for v in layer._non_trainable_variables}  # if frozen
    names = CLUSTERED_KINDS[dense_kind].clustered_names
    return tuple(name for name in names if name in own)


def _kernels(model: keras.Model, paths: Mapping[int, str]) -> list[str]:
    return [
        f"{paths[id(layer)]}/{name}"
        for layer, _ in layers_with_paths(model)
        for name in _names(layer)
    ]


def _bits_of_kernels(
    bits: Bits, kernels: list[str]
) -> Callable[[str], int | None]:
    """A function of the path of a kernel that gives its bits, or None.

    Raises:
        ValueError: if `bits` is out of range, or an expression of it is found
            in no path, or several are found in one.
    """
    if not isinstance(bits, Mapping):
        number = check_bits(bits)
        return lambda path: number
    try:
        patterns = {
            re.compile(pattern): check_bits(n) for pattern, n in bits.items()
        }
    except (TypeError, re.error) as error:
        raise ValueError(
            "`bits` must be an integer, or a dict from regular expressions "
            f"to integers. Received: bits={bits!r} ({error})"
        ) from None
    found = {path: [p for p in patterns if p.search(path)] for path in kernels}
    unused = set(patterns).difference(*found.values())
    if unused or not patterns:
        raise ValueError(
            "`bits` must name kernels that there are: nothing is found in "
            f"{', '.join(kernels)} by {sorted(p.pattern for p in unused)}. "
            f"Received: bits={bits!r}"
        )
    for path, matching in found.items():
        if len(matching) > 1:
            raise ValueError(
                f"`bits` must match each kernel once. {path} is matched by "
                f"{[p.pattern for p in matching]}. Received: bits={bits!r}"
            )

    def bits_of(path: str) -> int | None:
        return next((patterns[p] for p in found.get(path, ())), None)

    return bits_of


def _reason_to_skip(layer: Any, bits: Mapping[str, int | None]) -> str:
    """Why a layer cannot be clustered by these bits; `""` if it can."""
    dense_kind = DENSE_KINDS.get(type(layer), type(layer))
    if isinstance(layer, (Clustered, Hashed)):
        kind = "clustered" if isinstance(layer, Clustered) else "tied"
        return f"it is {kind} already"
    if dense_kind not in CLUSTERED_KINDS:
        return f"there is no clustered kind of {class_of(layer).__name__}"
    if getattr(layer, "quantization_mode", None):
        return f"it is quantized to {layer.quantization_mode}"
    without = [name for name in bits if bits[name] is None]
    if without:
        which = "" if len(without) == len(bits) else f" of {without[0]}"
        return f"`bits` has no number{which} for it"
    if any(getattr(layer, f"{n}_constraint", None) for n in bits):
        return "its kernel is held to a constraint"
    return ""


def _without_masks(config: dict[str, Any], layer: Masked) -> None:
    """Take from a configuration what it has of masks."""
    del config["sparsity"], config["granularity"]
    if not layer._dense_kind_takes_seed:
        del config["seed"]
