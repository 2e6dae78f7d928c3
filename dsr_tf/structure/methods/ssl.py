"""What a penalty has made zeros goes (Wen et al., 2016)."""

from typing import Any

import keras
import numpy as np
from absl import logging

from dsr_tf.conversion.selection import Filters
from dsr_tf.structure.choice import scores
from dsr_tf.structure.choice.amount import Share
from dsr_tf.structure.choice.amount import candidates
from dsr_tf.structure.choice.amount import largest_kept
from dsr_tf.structure.choice.choose import Keep
from dsr_tf.structure.choice.scores import relative
from dsr_tf.structure.graph.branches import drop_branches
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.cost import Cost
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.removal.constants import fold_constants
from dsr_tf.structure.removal.narrowing import narrow
from dsr_tf.structure.removal.shrinking import shrink_windows
from dsr_tf.structure.removal.zero_branches import zero_branches
from dsr_tf.structure.removal.zero_units import zero_units


def ssl(
    model: keras.Model,
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    filters: Filters = None,
    selections: bool = True,
    data: Any = None,
    multiple_of: int = 1,
) -> keras.Model:
    """Remove filters, channels, window borders and blocks that are zeros.

    "Learning structured sparsity in deep neural networks" (Wen, Wu, Wang,
    Chen & Li, NeurIPS 2016), section 3, and the authors' code,
    `wenwei202/caffe`, branch `scnn`. A trained network is trained with group
    lasso until groups of weights vanish,

        penalties = dsr_tf.structure.group_penalties(model, 0.003)
        below = dsr_tf.constraints.ZeroBelow(1e-4)
        model = dsr_tf.regularize(model, penalties, {".": below})

    then what is 0 is removed, and the rest trained further. Here that is:

    * a branch of a residual network, if one of its kernels is all 0: the
      shortcut is left. What else the branch gave, a constant, is lost;
    * a filter that is 0: what the channel still gives goes into biases, see
      `fold_constants`;
    * a channel that nobody reads, or of a network's input; where others read
      it, the layer gets `keras.ops.take` before it;
    * borders of windows, see `shrink_windows`. Zeros elsewhere in a window
      ("shapes") cannot be removed in Keras, and are trained further, where
      the authors' code freezes them.

    In the paper the strength of the penalty says how much goes. To compare
    methods under one budget, the units with the smallest groups go as well,
    where the zeros do not suffice: by one threshold for all layers, norms
    being shares of the mean in their layer.

    Args:
        model: A built functional or Sequential model, not changed.
        share: Share of all units together that may stay, in (0, 1], those of
            branches that go not counted. Or a
            dict from regular expressions to such: the first counts that
            finds something in the path of the layer that makes the units (of
            a selection, of the one that reads them, and `"/selection"`),
            each layer then keeps that share of its own, and where none does,
            only zeros go.
        parameters, macs: Budget in place of `share`: numbers of parameters
            and multiply-adds that the network must not be above. If none of
            the three is given, only zeros go.
        filters: Regular expression, list of these, or function of a layer:
            which layers lose units for a share or budget. Zeros go
            everywhere.
        selections: Whether layers, and the network, may read fewer channels
            than there are.
        data: Inputs of a few examples, if shapes of inputs are not known;
            see `fold_constants`.
        multiple_of: See `choose.to_budget`.

    Returns:
        The smaller network.

    Raises:
        TypeError, ValueError: if an argument is out of range, or no units
            can go for a budget.
    """
    whole = model.count_params()
    empty = zero_branches(model)
    model = fold_constants(drop_branches(model, empty), data)
    model = shrink_windows(narrow(model, _zeros_of_streams(model)))
    structure = Structure(model, selections)
    keep: Keep = zero_units(model, selections)
    if (share, parameters, macs) != (None, None, None):
        keep = _smaller(
            structure, keep, filters, share, parameters, macs, multiple_of
        )
    smaller = narrow(model, keep)
    if smaller.count_params() == whole:
        logging.warning(
            "ssl: nothing in model '%s' is 0, so nothing was removed",
            model.name,
        )
    return smaller


def _zeros_of_streams(model: keras.Model) -> Keep:
    """What goes before layers select from streams what they read."""
    kinds = {found.name: found.kind for found in Structure(model).sets}
    zeros = zero_units(model)
    return {n: own for n, own in zeros.items() if kinds[n] == "stream"}


def _smaller(
    structure: Structure,
    zeros: Keep,
    filters: Filters,
    share: Share | None,
    parameters: int | None,
    macs: int | None,
    multiple_of: int,
) -> Keep:
    """What stays of the units that are not 0, by the norms of their groups."""
    sets = candidates(
        structure, "ssl", filters, ["inner", "selection"], _why_no_groups
    )

    def cost(keep: Keep) -> Cost:
        return structure.cost({**zeros, **keep})

    norms = {found.name: _norms(found) for found in sets}
    for name in norms.keys() & zeros.keys():
        norms[name][~zeros[name]] = -1  # Below constants that are still read.
    chosen = largest_kept(
        norms,
        cost,
        share,
        parameters,
        macs,
        multiple_of,
    )
    # Zeros go in any case.
    both = {n: own & zeros[n] for n, own in chosen.items() if n in zeros}
    return {**zeros, **chosen, **both}


def _norms(found: ChannelSet) -> np.ndarray:
    """The norm of what makes a unit, or of what reads it, if it is less.

    Either of these groups takes the unit along when it vanishes. Norms are
    shares of the mean over the set: as they are, they would empty a layer
    that happens to have small ones, if the penalty has not yet told what is
    needed.
    """
    norms = [
        scores.norm(found, 2, role)
        for role in ("out", "in")
        if found.with_role(role)
    ]
    return np.min([relative(own) for own in norms], axis=0)


def _why_no_groups(found: ChannelSet) -> str:
    return "" if found.with_role("in") else "no layer sums over them"
