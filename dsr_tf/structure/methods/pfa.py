"""Units go whose responses others have as well (Suau et al., 2018)."""

from typing import Any

import keras
import numpy as np

from dsr_tf.conversion.selection import Filters
from dsr_tf.core.checks import is_number
from dsr_tf.structure.choice import choose
from dsr_tf.structure.choice.amount import candidates
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.removal.narrowing import narrow
from dsr_tf.structure.statistics import spectrum
from dsr_tf.structure.statistics.probe import responses


def pfa(
    model: keras.Model,
    data: Any,
    energy: float | None = None,
    share: float | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    rule: str = "l1",
    pool: str = "max",
    filters: Filters = None,
    batch_size: int = 32,
    num_batches: int | None = None,
    multiple_of: int = 1,
) -> keras.Model:
    """Remove the units that are most correlated with others.

    Principal filter analysis (Suau, Zappella & Apostoloff, 2018), and the
    authors' code, `apple/dnikit`. Each layer is looked at by itself, all at
    once: the eigenvalues of the covariance of its units' responses say how
    many stay, correlations say which. Then the network is trained further.

    How many, by default: PFA-KL, `ceil(C * (1 - KL / ln C))` of C units, KL
    being the divergence of the eigenvalues from equal ones, with nothing to
    choose. With `energy`: PFA-En, the fewest directions that hold this share
    of the variance. With `share` or a budget the energy is the one, the same
    for all layers, that leads there.

    Args:
        model: A built functional or Sequential model, not changed.
        data: Examples, as `dsr_tf.core.batches.input_batches` takes them; at
            least as many as a layer has units.
        energy: Share of the variance that is kept, in (0, 1].
        share: Share of all units together that stay, in (0, 1].
        parameters, macs: Budget: numbers of parameters and multiply-adds
            that the network must not be above. At most one of energy, share
            and budget may be given.
        rule: Which units go: `"l1"` or `"abs"`, see
            `spectrum.most_correlated`. They may be more than that, where
            units do not vary at all.
        pool: What of a unit's positions is its response, `"max"` or
            `"mean"`.
        filters: Regular expression, list of these, or function of a layer:
            which layers lose units. By default all whose units meet no
            others' in a sum. (Of residual networks the authors say nothing.)
        batch_size: Examples a batch, where `data` is arrays.
        num_batches: How many batches to read at most.
        multiple_of: See `choose.to_budget`.

    Returns:
        The narrow network.

    Raises:
        TypeError, ValueError: if an argument is out of range, no units can
            go, or there are fewer examples than a layer has units.
    """
    _check(energy, share, parameters, macs)
    structure = Structure(model)
    sets = candidates(structure, "pfa", filters, reason=_why_no_responses)
    found = responses(
        model,
        [own.producers[0] for own in sets],
        data,
        pool,
        batch_size,
        num_batches,
    )
    covariances = {}
    for own, seen in zip(sets, found):
        if seen.number < own.num_units:
            raise ValueError(
                "`data` must hold at least as many examples as a layer has "
                f"units, {own.num_units} in '{own.name}'. Received: "
                f"{seen.number} examples"
            )
        units = own.with_role("out")[0].positions[:, 0]
        covariances[own.name] = seen.covariance[np.ix_(units, units)]
    before = {n: spectrum.energy_before(c) for n, c in covariances.items()}
    if share is not None:
        together = np.concatenate(list(before.values()))
        energy = float(np.percentile(together, 100 * share))
        # As in the authors' code: not all, and not none.
        energy = min(max(energy, 1e-8), 1 - 1e-8)
    if energy is not None:
        numbers = {n: int((own < energy).sum()) for n, own in before.items()}
    elif parameters is None and macs is None:
        numbers = {
            name: int(np.ceil(len(own) * spectrum.spectrum_share(own)))
            for name, own in covariances.items()
        }
    else:
        keep = choose.to_budget(
            {name: -own for name, own in before.items()},
            structure.cost,
            parameters,
            macs,
            multiple_of,
        )
        numbers = {name: int(own.sum()) for name, own in keep.items()}
    return narrow(
        model,
        {
            name: spectrum.most_correlated(own, max(1, numbers[name]), rule)
            for name, own in covariances.items()
        },
    )


def _check(
    energy: object, share: object, parameters: object, macs: object
) -> None:
    is_budget = parameters is not None or macs is not None
    if (energy is not None) + (share is not None) + is_budget > 1:
        raise ValueError(
            "At most one of `energy`, `share` and a budget (`parameters`, "
            f"`macs`) can be given. Received: energy={energy!r}, "
            f"share={share!r}, parameters={parameters!r}, macs={macs!r}"
        )
    for name, value in (("energy", energy), ("share", share)):
        if value is not None and not (is_number(value) and 0 < value <= 1):
            raise ValueError(
                f"`{name}` must be a number in (0, 1]. Received: "
                f"{name}={value!r}"
            )


def _why_no_responses(found: ChannelSet) -> str:
    slices = found.with_role("out")
    if len(found.producers) != 1 or len(slices) != 1:
        return "not one layer makes them"
    if slices[0].positions.shape[1] != 1:
        return f"{found.producers[0].name} makes each of several"
    return ""
