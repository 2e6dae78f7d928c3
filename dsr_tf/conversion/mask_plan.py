"""What masks a model gets, as the arguments of `sparsify` say it."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dsr_tf.conversion import initial_masks
from dsr_tf.conversion.batch import Batch
from dsr_tf.conversion.initial_mask import InitialMask
from dsr_tf.conversion.initial_mask import MakeRoom
from dsr_tf.conversion.initial_mask import Request
from dsr_tf.conversion.target import Target
from dsr_tf.core import draws
from dsr_tf.core.distribution import Distribution
from dsr_tf.core.granularity import Granularity
from dsr_tf.layers import MaskedWeight


class MaskPlan:
    """How many weights are active, where, and by which rule.

    Args:
        model: The Keras model, before it is converted.
        sparsity, parameters, sparsity_of: How many, see `Target`.
        distribution: How they are shared, see `Distribution`.
        mask: Name of a rule in `initial_masks`.
        seed: Integer for random masks, or None.
        data, loss: See `Batch`; for rules that look at examples.
        granularity: The `Granularity` of the masks.

    Raises:
        ValueError: if an argument is out of range, or some do not go
            together.
    """

    def __init__(
        self,
        model: keras.Model,
        sparsity: float | None,
        parameters: int | None,
        sparsity_of: str,
        distribution: str | Mapping[str, float],
        mask: str,
        seed: int | None,
        data: Any,
        loss: Any,
        granularity: Granularity,
    ) -> None:
        self._distribution = Distribution(distribution)
        self._rule = rule = initial_masks.get(mask)
        self._seed = draws.check_seed(seed)
        if granularity.pattern is not None:
            # Exact where it was written with a few digits.
            sparsity = _checked_by_pattern(
                granularity, sparsity, sparsity_of, distribution, rule
            )
        self._target = Target(
            sparsity, parameters, sparsity_of, self._distribution.is_complete
        )
        if rule.shares_budget and distribution != "uniform":
            raise ValueError(
                f"`distribution` must be 'uniform', or not be given, with mask="
                f"{mask!r}, which shares the budget itself: by one threshold "
                f"for all kernels. Received: distribution={distribution!r}"
            )
        if rule.needs_data and data is None:
            raise ValueError(
                f"`data` must be a batch (x, y) with mask={mask!r}, which "
                "looks at the loss on it. Received: data=None"
            )
        if not rule.needs_data and (data is not None or loss is not None):
            raise ValueError(
                "`data` and `loss` are for masks that look at examples. "
                f"Received: mask={mask!r}"
            )
        self._batch = Batch(data, model, loss) if rule.needs_data else None

    @property
    def layer_sparsity(self) -> float:
        """What layers are made with, until their masks are set."""
        return self._target.layer_sparsity

    def masks(
        self,
        model: keras.Model,
        weights: list[MaskedWeight],
        make_room: MakeRoom,
    ) -> list[np.ndarray]:
        """Choose the masks of kernels, and change nothing.

        Args:
            model: The model with masked layers, whose kernels hold all
                their weights.
            weights: List of the `MaskedWeight` of it that get a mask; others
                keep theirs.
            make_room: See `Request`.

        Returns:
            A boolean array for each.

        Raises:
            ValueError: if the model cannot have so few active weights, or
                so many.
        """
        budget = self._target.budget(model, weights)

        def share_out() -> list[int]:
            return self._distribution(
                [weight.path for weight in weights],
                [tuple(weight.kernel.shape) for weight in weights],
                [weight.group_size for weight in weights],
                budget,
            )

        request = Request(
            model,
            weights,
            budget,
            share_out,
            self._seed,
            self._batch,
            make_room,
        )
        return list(self._rule.masks(request))


def _checked_by_pattern(
    granularity: Granularity,
    sparsity: float | None,
    sparsity_of: str,
    distribution: str | Mapping[str, float],
    rule: InitialMask,
) -> float:
    """Refuse what N:M, which says all by itself, leaves no choice about."""
    if distribution != "uniform":
        raise ValueError(
            "`distribution` must be uniform with granularity "
            f"{granularity.name!r}, which says how many weights are active "
            f"everywhere. Received: distribution={distribution!r}"
        )
    if rule.shares_budget or sparsity is None or sparsity_of != "masked":
        raise ValueError(
            f"With granularity {granularity.name!r}, which says how many "
            "weights of a kernel are active, `sparsity` is given, `mask` must "
            "be 'random' or 'magnitude', and `sparsity_of` 'masked'. "
            f"Received: sparsity={sparsity!r}, mask={rule.name!r}, "
            f"sparsity_of={sparsity_of!r}"
        )
    return granularity.check_sparsity(sparsity)
