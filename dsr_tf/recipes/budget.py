"""What flags allow a network: parameters, multiply-adds, or channels."""

import math
import re
from typing import Any

import keras

from dsr_tf.layers.summary import sparsity_summary
from dsr_tf.recipes.network import sparsify


def count(budget: int | float | None, of: int) -> int | None:
    """A budget as a number.

    Args:
        budget: An integer; a share in (0, 1); or None for none.
        of: What it is a share of.
    """
    if isinstance(budget, float):
        return math.floor(budget * of)
    return budget


def num_active(experiment: Any, dense: keras.Model) -> int:
    """How many parameters are active in the sparse network of the flags."""
    sparse = sparsify(experiment, dense)
    return sparsity_summary(sparse).num_active_parameters


def parse_share(text: str) -> float | dict[str, float]:
    """The share of channels that stays, as it is written in flags.

    Args:
        text: A number in (0, 1], or `REGEX:SHARE,REGEX:SHARE`.

    Returns:
        The number, or a dict from regular expressions to numbers.

    Raises:
        ValueError: if it is neither.
    """
    pairs = [part.rpartition(":") for part in text.split(",")]
    try:
        shares = {name: float(share) for name, _, share in pairs}
        for name in shares:
            re.compile(name)
    except (ValueError, re.error):
        shares = {}
    is_right = len(shares) == len(pairs) and all(
        0 < share <= 1 for share in shares.values()
    )
    if not is_right or ("" in shares) != (":" not in text):
        raise ValueError(
            "must be a number above 0 and at most 1, or a list REGEX:SHARE,... "
            "of such, each expression once"
        )
    return shares.get("", shares)


def parse_energy(text: str) -> float | None:
    """The share of variance that stays, as it is written in flags.

    Args:
        text: A number in (0, 1], or `kl`.

    Returns:
        The number; None for `kl`.

    Raises:
        ValueError: if it is neither.
    """
    if text == "kl":
        return None
    try:
        energy = float(text)
    except ValueError:
        energy = 0.0
    if not 0 < energy <= 1:
        raise ValueError("must be kl, or a number above 0 and at most 1")
    return energy
