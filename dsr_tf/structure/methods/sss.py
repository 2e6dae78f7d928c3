"""Branches, groups and channels whose factors are 0 go (Huang & Wang)."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from absl import logging
from keras import ops

from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import Predicate
from dsr_tf.conversion.selection import check_model
from dsr_tf.layers import Scale
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.structure.choice.amount import Share
from dsr_tf.structure.choice.amount import largest_kept
from dsr_tf.structure.choice.choose import Keep
from dsr_tf.structure.graph.branches import branches
from dsr_tf.structure.graph.branches import drop_branches
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.cost import Cost
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.graph.structure import cost
from dsr_tf.structure.removal.narrowing import narrow
from dsr_tf.structure.removal.scales import factors_of
from dsr_tf.structure.removal.scales import fold_scales

# Whether a layer, given with a path, may go.
_Wanted = Callable[[Any, str], bool]
# What scores of branches are called, which are one set.
_BRANCHES = "branches"


def sss(
    model: keras.Model,
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    filters: Filters = None,
    multiple_of: int = 1,
) -> keras.Model:
    """Remove branches, groups and channels whose scales are 0; fold others.

    "Data-driven sparse structure selection for deep neural networks" (Huang
    & Wang, ECCV 2018, arXiv 1707.01213), sections 3 and 4, and the authors'
    code, `huangzehao/sparse-structure-selection`: `symbol/resnet.py`,
    `core/optimizer.py`. The network is trained from scratch with a factor
    behind each structure and an accelerated proximal gradient,

        model = dsr_tf.structure.insert_scales(model)
        rule = dsr_tf.proximal.SoftThreshold(0.01, non_negative=True)
        optimizer = dsr_tf.optimizers.SGD(
            0.1, 0.9, nesterov=True, proximal={"_scale/scale$": rule}
        )

    and then what is 0 is removed. The authors train no further, and what is
    left computes the same. (Their code has no such step; of channels and
    groups, it holds where their activation is 0 at 0, as that of ReLU is.)
    Where a block goes that changes the size of images, its shortcut is left.

    In the paper the strength of the penalty says how much goes. To compare
    methods under one budget, structures with the smallest scales go as well,
    where the zeros do not suffice.

    Args:
        model: A model that `insert_scales` has made, trained; not changed.
        share: Share of the branches, or of all groups or channels together,
            that may stay, in (0, 1]. Or, of the latter, a dict from regular
            expressions to such, see `slimming`.
        parameters, macs: Budget in place of `share`: numbers of parameters
            and multiply-adds that the network must not be above. If none of
            the three is given, only zeros go.
        filters: Regular expression, list of these, or function of a layer:
            which branches may go, by what `branches` calls them and the sum
            that they end in; and which groups or channels, by the name of
            their set and the layer that makes them. By default all that have
            scales; scales of others are folded whatever they are.
        multiple_of: See `choose.to_budget`; of groups or channels.

    Returns:
        The smaller network, without layers `Scale`. Each layer that stays
        has one group or channel at least, and under a budget there is one
        branch at least.

    Raises:
        TypeError, ValueError: if an argument is out of range, the model has
            no such scales or some that are not finite, or, with a share or
            budget, scales of branches and of others.
    """
    check_model(model, "sss")
    wanted = Predicate(filters)
    wanted.check_all_found([path for _, path in layers_with_paths(model)])
    of_branches = _scales_of_branches(model, wanted)
    of_units = _scales_of_units(model, wanted)
    amount = (share, parameters, macs)
    has_amount = any(given is not None for given in amount)
    if not of_branches and not of_units:
        raise ValueError(
            f"Model '{model.name}' has no scales of branches, groups or "
            "channels, which `dsr_tf.structure.insert_scales` puts in. "
            f"Received: filters={filters!r}"
        )
    if has_amount and of_branches and of_units:
        raise ValueError(
            f"Model '{model.name}' has scales of branches and of others, "
            "which no share or budget can choose between. Received: "
            f"share={share!r}, parameters={parameters!r}, macs={macs!r}"
        )
    _check_finite({**of_branches, **of_units}, model)
    folded = fold_scales(model)
    _check_units(of_units, _structure_of(folded, model))
    gone = [name for name, scale in of_branches.items() if not scale]
    if has_amount and of_branches:
        kept = _branches_kept(folded, of_branches, *amount)
        gone = [x for x in of_branches if x in gone or x not in kept]
    if of_branches:
        logging.info(
            "sss: %d of %d branches go: %s",
            len(gone),
            len(of_branches),
            ", ".join(gone) or "none",
        )
    smaller = drop_branches(folded, gone)
    structure = _structure_of(smaller, model)
    # (Some may have been in branches that are gone.)
    scores = {n: x for n, x in of_units.items() if n in structure.by_name}
    keep: Keep = {name: _not_zero(own) for name, own in scores.items()}
    if has_amount and scores:
        chosen = largest_kept(scores, structure.cost, *amount, multiple_of)
        keep = {name: own & keep[name] for name, own in chosen.items()}
    smaller = narrow(smaller, keep)
    if smaller.count_params() == folded.count_params():
        logging.warning(
            "sss: no scale of model '%s' is 0, so nothing was removed",
            model.name,
        )
    return smaller


def _scales_of_branches(
    model: keras.Model, wanted: _Wanted
) -> dict[str, float]:
    """By name of a branch that ends with a scale, its magnitude."""
    return {
        branch.name: float(abs(factors_of(branch.layers[-1])[0]))
        for branch in branches(model)
        if _is_of_branch(branch.layers[-1])
        and wanted(branch.total, branch.name)
    }


def _is_of_branch(layer: object) -> bool:
    return isinstance(layer, Scale) and layer.num_scales == 1


def _scales_of_units(
    model: keras.Model, wanted: _Wanted
) -> dict[str, np.ndarray]:
    """By name of a set whose units have scales, their magnitudes.

    Of what several layers add to, one scale of 0 makes nothing 0.
    """
    return {
        found.name: _magnitudes(found)
        for found in _structure_of(model, model).sets
        if found.kind in ("inner", "groups")
        and any(isinstance(one.layer, Scale) for one in found.slices)
        and wanted(found.producers[0], found.name)
    }


def _structure_of(model: keras.Model, scaled: keras.Model) -> Structure:
    """The structure of a model, with groups as units if these have scales."""
    numbers = {
        layer.num_scales
        for layer in scaled._flatten_layers()
        if isinstance(layer, Scale)
    }
    return Structure(model, groups=not numbers <= {None, 1})


def _check_units(of_units: Mapping[str, np.ndarray], folded: Structure) -> None:
    """Refuse scales of groups that are not those of convolutions."""
    sizes = {found.name: found.num_units for found in folded.sets}
    for name, scales in of_units.items():
        if sizes.get(name) != len(scales):
            raise ValueError(
                f"Model '{folded.model.name}' has scales of {len(scales)} "
                f"groups of channels, {name}, which do not go as they are in "
                "no convolution in as many groups"
            )


def _check_finite(
    scales: Mapping[str, float | np.ndarray], model: keras.Model
) -> None:
    """Refuse what a training has left that failed."""
    for name, values in scales.items():
        if not np.isfinite(values).all():
            raise ValueError(
                f"Model '{model.name}' has scales of {name} that are not "
                "finite, which say nothing of what may go."
            )


def _magnitudes(found: ChannelSet) -> np.ndarray:
    """The largest of what multiplies a unit, which may be several channels."""
    each = [
        np.abs(ops.convert_to_numpy(one.variable))[one.positions].max(axis=1)
        for one in found.slices
        if isinstance(one.layer, Scale)
    ]
    return np.max(each, axis=0).astype("float64")


def _not_zero(scores: np.ndarray) -> np.ndarray:
    """What stays of a set: where all are zeros, the first."""
    stays = scores > 0
    if not stays.any():
        stays[0] = True
    return stays


def _branches_kept(
    model: keras.Model,
    scales: Mapping[str, float],
    share: Share | None,
    parameters: int | None,
    macs: int | None,
) -> list[str]:
    """The branches that a share or budget leaves, those of large scales."""
    names = np.array(list(scales))

    def cost_of(keep: Keep) -> Cost:
        # To be exact, as layers of one branch may be within another.
        return cost(drop_branches(model, names[~keep[_BRANCHES]].tolist()))

    scores = {_BRANCHES: np.array(list(scales.values()))}
    keep = largest_kept(scores, cost_of, share, parameters, macs)
    return names[keep[_BRANCHES]].tolist()
