"""Channels with a small scale of normalization go (Liu et al., 2017)."""

from collections.abc import Mapping

import keras
import numpy as np

from dsr_tf.conversion.selection import Filters
from dsr_tf.core.checks import is_number
from dsr_tf.structure.choice import choose
from dsr_tf.structure.choice import scores
from dsr_tf.structure.choice.amount import Share
from dsr_tf.structure.choice.amount import candidates
from dsr_tf.structure.choice.amount import numbers_kept
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.removal.narrowing import narrow


def slimming(
    model: keras.Model,
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    filters: Filters = None,
    selections: bool = True,
    multiple_of: int = 1,
) -> keras.Model:
    """Remove the channels that normalization scales the least.

    "Learning efficient convolutional networks through network slimming" (Liu,
    Li, Shen, Huang, Yan & Zhang, ICCV 2017), sections 3 and 4, and the code
    of two of the authors, `Eric-mingjie/network-slimming`: `vggprune.py`,
    `resprune.py`. The network has been trained with a penalty on all scales,
    `dsr_tf.regularize(model, {"gamma": keras.regularizers.L1(1e-4)})`; one
    threshold for all |gamma| then says what stays, and the network is
    trained further, without the penalty. Until then its accuracy says
    nothing.

    Other than in the code, where a layer may lose all channels and slicing
    then fails, each keeps at least one.

    Args:
        model: A built functional or Sequential model, not changed.
        share: Share of all channels together that stay, in (0, 1]. Or a dict
            from regular expressions to such: the first counts that finds
            something in the path of the layer that makes the channels, each
            layer then keeps that share of its own, and where none does, all
            channels stay. (Of the network for MNIST the authors keep a fifth
            of each layer, Table 3.)
        parameters, macs: Budget in place of `share`: numbers of parameters
            and multiply-adds that the network must not be above. The
            threshold is the one that leads there.
        filters: Regular expression, list of these, or function of a layer:
            which layers lose channels, or read fewer. By default all whose
            channels are scaled before others are added to them.
        selections: Whether the normalization that opens a branch of a
            network with pre-activation reads only channels whose scales are
            large, as in the paper, section 3.3; the network then has
            `keras.ops.take` before it.
        multiple_of: See `choose.to_budget`.

    Returns:
        The narrow network.

    Raises:
        TypeError, ValueError: if an argument is out of range, or no channels
            can go.
    """

    def reason(found: ChannelSet) -> str:
        has_scale = bool(found.with_role("scale"))
        return "" if has_scale else "no normalization scales them"

    structure = Structure(model, selections)
    kinds = ["inner", "selection"]
    sets = candidates(structure, "slimming", filters, kinds, reason)
    found = {one.name: scores.scale(one) for one in sets}
    has_budget = parameters is not None or macs is not None
    if has_budget and share is None:
        keep = choose.to_budget(
            found, structure.cost, parameters, macs, multiple_of
        )
    elif is_number(share) and not has_budget:
        keep = _above_one_threshold(found, share)
    else:  # Shares of each layer, or a refusal.
        numbers = numbers_kept(structure, sets, share, parameters, macs)
        keep = {
            name: choose.largest(own, numbers[name])
            for name, own in found.items()
        }
    return narrow(model, keep)


def _above_one_threshold(
    found: Mapping[str, np.ndarray], share: float
) -> choose.Keep:
    if not 0 < share <= 1:
        raise ValueError(
            "`share` must be a number in (0, 1], or a dict to such from "
            f"regular expressions. Received: share={share!r}"
        )
    if share == 1:
        return {name: np.ones(len(own), "bool") for name, own in found.items()}
    return choose.globally(found, 1 - share)
