"""`tie`: a model whose kernels repeat the weights of small banks."""

import keras

from dsr_tf.conversion.graph import Converting
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import Predicate
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.selection import reason_to_skip
from dsr_tf.conversion.selection import refuse_nothing_to_do
from dsr_tf.conversion.selection import report
from dsr_tf.conversion.single import config_of
from dsr_tf.conversion.single import copy_layer
from dsr_tf.conversion.single import without_lora
from dsr_tf.core import distribution as distributions
from dsr_tf.core import draws
from dsr_tf.layers import HASHED_KINDS
from dsr_tf.layers.masked_weights import layers_with_paths


def tie(
    model: keras.Model,
    sparsity: float,
    filters: Filters = None,
    seed: int | None = None,
) -> keras.Model:
    """A copy of a model whose kernels repeat the weights of small banks.

    HashedNet (Chen et al., 2015), the tied baseline of the paper's Table 5:
    Dense and Conv2D layers become `HashedDense` and `HashedConv2D`. A bank
    takes its weights from the kernel, at the first of their positions.

    Args:
        model: A built Sequential or functional Keras model, not changed.
        sparsity: A kernel of n weights gets a bank of
            `round((1 - sparsity) * n)`, at least one; in [0, 1).
        filters: Which layers to tie, as for `sparsify`.
        seed: Integer that the positions are drawn from; None draws one.

    Returns:
        The tied model, built, not compiled; `skipped_layers` says by name
        which layers kept their kernel, and why.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if an argument is out of range, the model cannot be
            copied, or no layer can be tied.
    """
    check_model(model, "tie")
    sparsity = distributions.check_sparsity(sparsity)
    seeds = draws.generator(draws.check_seed(seed))
    wanted = Predicate(filters)
    skipped: dict[str, str] = {}
    converted: set[keras.layers.Layer] = set()
    paths = {id(layer): path for layer, path in layers_with_paths(model)}
    wanted.check_all_found(paths.values())

    def convert(layer: keras.layers.Layer) -> keras.layers.Layer:
        reason = reason_to_skip(layer, HASHED_KINDS)
        path = paths[id(layer)]
        if not reason and not wanted(layer, path):
            reason = "the filters leave it out"
        if reason:
            if layer.weights:
                skipped[path] = reason
            return copy_layer(layer)
        config = config_of(layer)
        drawn = int(seeds.integers(draws.MAX_SEED))
        config.update(sparsity=sparsity, seed=drawn)
        without_lora(config)
        tied = HASHED_KINDS[type(layer)].from_config(config)
        converted.add(tied)
        return tied

    tied = rebuild(model, Converting(convert))
    if not converted:
        refuse_nothing_to_do(model, "tie", skipped, filters)
    report(tied, "tie", skipped)
    return tied
