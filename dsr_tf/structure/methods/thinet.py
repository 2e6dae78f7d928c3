"""Channels go that the next layer can best do without (Luo et al., 2017)."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dsr_tf.conversion.selection import Filters
from dsr_tf.core import draws
from dsr_tf.structure.choice.amount import Share
from dsr_tf.structure.choice.amount import candidates
from dsr_tf.structure.choice.amount import numbers_kept
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.removal.layerwise import multiply
from dsr_tf.structure.removal.layerwise import one_by_one
from dsr_tf.structure.removal.layerwise import why_not_read
from dsr_tf.structure.statistics import solvers
from dsr_tf.structure.statistics.moments import Contributions
from dsr_tf.structure.statistics.probe import contributions

_RULES: dict[str, Callable[[Contributions, int], np.ndarray]] = {
    "discard": lambda own, n: solvers.greedy_discard(own.gram, n),
    "keep": lambda own, n: solvers.greedy_keep(own.gram, own.b, n),
}


def thinet(
    model: keras.Model,
    data: Any,
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    rule: str = "discard",
    filters: Filters = None,
    num_places: int = 10,
    batch_size: int = 32,
    num_batches: int | None = None,
    multiple_of: int = 1,
    seed: int | None = None,
    after_each: Callable[[keras.Model], None] | None = None,
) -> keras.Model:
    """Remove the channels that change the next layer's output least.

    ThiNet (Luo, Wu & Lin, ICCV 2017; TPAMI 2018), and the authors' code,
    `Roll920/ThiNet_Code`. From the first layer to the last: at random
    positions and filters of the output of the layer that reads them,
    channels are chosen greedily, and the weights that read those that stay
    are multiplied to make up for the others, by least squares. The next
    layer is looked at in the network that is left.

    The paper of 2017 and the later code choose differently: `rule` is
    `"discard"` for the former (its section 3.2), `"keep"` for the latter.
    Both take 10 places of each of 10 images a class of ImageNet, and train
    for one or two epochs after each layer (`after_each`), longer in the end.
    ThiNet-30, -50 and -70 of ResNet-50 are `share=.3`, `.5` and `.7`.

    Args:
        model: A built functional or Sequential model, not changed.
        data: Examples, as `dsr_tf.core.batches.input_batches` takes them;
            they are read again for each layer.
        share: Share of the channels of a layer that stay, in (0, 1], rounded
            down; or a dict from regular expressions to such: the first
            counts that finds something in the path of the layer that makes
            the channels, and where none does, all stay.
        parameters, macs: Budget in place of `share`: numbers of parameters
            and multiply-adds that the network must not be above. All layers
            then keep the same share.
        rule: `"discard"` or `"keep"`.
        filters: Regular expression, list of these, or function of a layer:
            which layers lose channels. By default all whose channels meet no
            others' in a sum, and are read by dense layers or convolutions.
        num_places: Samples an example.
        batch_size: Examples a batch, where `data` is arrays.
        num_batches: How many batches to read at most for each layer.
        multiple_of: See `choose.to_budget`.
        seed: Integer that samples are drawn from; None draws a fresh one.
        after_each: Function that is called with the network after each layer
            that lost channels, such as to train it.

    Returns:
        The narrow network.

    Raises:
        TypeError, ValueError: if an argument is out of range, or no channels
            can go.
    """
    if rule not in _RULES:
        raise ValueError(
            f"`rule` must be one of {', '.join(_RULES)}. Received: "
            f"rule={rule!r}"
        )
    seed = draws.check_seed(seed)
    structure = Structure(model)
    sets = candidates(structure, "thinet", filters, reason=why_not_read)
    numbers = numbers_kept(
        structure, sets, share, parameters, macs, multiple_of
    )

    def choose(now: Structure, found: ChannelSet, number: int) -> np.ndarray:
        slices = found.with_role("in")
        of_each = contributions(
            now.model, slices, data, num_places, batch_size, num_batches, seed
        )
        first, *others = of_each
        kept = _RULES[rule](sum(others, start=first), number)
        for one, own in zip(slices, of_each):
            multiply(one, solvers.rescale(own.gram, own.b, kept))
        return kept

    return one_by_one(model, numbers, choose, after_each)
