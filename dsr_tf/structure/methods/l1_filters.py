"""Filters with a small L1 norm go (Li et al., 2016)."""

import keras

from dsr_tf.conversion.selection import Filters
from dsr_tf.structure.choice import choose
from dsr_tf.structure.choice import scores
from dsr_tf.structure.choice.amount import Share
from dsr_tf.structure.choice.amount import candidates
from dsr_tf.structure.choice.amount import numbers_kept
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.removal.narrowing import narrow


def l1_filters(
    model: keras.Model,
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    filters: Filters = None,
    streams: str | None = None,
    multiple_of: int = 1,
) -> keras.Model:
    """Remove the filters whose weights have the smallest sum of magnitudes.

    "Pruning filters for efficient convnets" (Li, Kadav, Durdanovic, Samet &
    Graf, 2016), section 3: of each layer, with its entry in the
    normalization and its slice of what reads it, all layers at once, each
    scored by the weights that it has ("independent"). The paper chooses the
    share of each layer by hand from how accuracy falls; then it trains
    further. Under a budget all layers keep the same share here.

    Args:
        model: A built functional or Sequential model, not changed.
        share: Share of the filters that stay, in (0, 1], rounded down; or a
            dict from regular expressions to such: the first counts that
            finds something in the path of a layer, and where none does, all
            filters stay.
        parameters, macs: Budget in place of `share`: numbers of parameters
            and multiply-adds that the network must not be above.
        filters: Regular expression, list of these, or function of a layer:
            which layers lose filters. By default all whose filters meet no
            others' in a sum.
        streams: Regular expression for names of layers. Channels that
            several layers add to then go as well, where it finds one or more
            of these layers; they are scored by these alone. In the paper
            they are the projection shortcuts (section 3.3).
        multiple_of: See `choose.to_budget`.

    Returns:
        The narrow network.

    Raises:
        TypeError, ValueError: if an argument is out of range, or no channels
            can go.
    """

    def shortcuts(found: ChannelSet) -> str | None:
        return streams if found.kind == "stream" else None

    def reason(found: ChannelSet) -> str:
        try:
            scores.norm(found, layers=shortcuts(found))
        except ValueError:
            return "`streams` finds none of the layers that make them"
        return ""

    structure = Structure(model)
    kinds = ["inner"] if streams is None else ["inner", "stream"]
    sets = candidates(structure, "l1_filters", filters, kinds, reason)
    numbers = numbers_kept(
        structure, sets, share, parameters, macs, multiple_of
    )
    keep = {
        found.name: choose.largest(
            scores.norm(found, layers=shortcuts(found)), numbers[found.name]
        )
        for found in sets
    }
    return narrow(model, keep)
