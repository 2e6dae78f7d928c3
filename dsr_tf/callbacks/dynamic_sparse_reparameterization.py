"""DSR in one call."""

from collections.abc import Callable
from collections.abc import Mapping

import keras

from dsr_tf.callbacks.reallocation import Reallocation
from dsr_tf.core.schedule import Schedule
from dsr_tf.methods import DSR
from dsr_tf.reallocation.record import Record


class DynamicSparseReparameterization(Reallocation):
    """`Reallocation` by DSR (Mostafa & Wang, ICML 2019), in one call.

    Args:
        num_reallocated: K, the weights to move each time: an integer is
            their number, a number in (0, 1) their share of the budget.
        period: Updates between two reallocations: an integer, a schedule
            `{first_epoch: integer}`, or `"auto"`.
        tolerance: delta, how far from K is near enough, in [0, 1).
        initial_threshold: Magnitude below which weights are pruned first.
        stop_epoch: First epoch (from 0) without reallocation, or None.
        seed: Integer that random growth depends on, or None.
        listener: Callable that receives the `Record` of each reallocation.
        model, optimizer: As of `Reallocation`.
        growth, start_magnitude, counts_zeros: Which weights grow, what they
            start from, and whether zeros count: as of `dsr_tf.methods.DSR`.

    Raises:
        ValueError: as `Reallocation` and `dsr_tf.methods.DSR`.
    """

    def __init__(
        self,
        num_reallocated: int | float = 0.1,
        period: int | Mapping[int, int] | str | Schedule = "auto",
        tolerance: float = 0.1,
        initial_threshold: float = 1e-3,
        stop_epoch: int | None = None,
        seed: int | None = None,
        listener: Callable[[Record], None] | None = None,
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        *,
        growth: str = "random",
        start_magnitude: float = 0.0,
        counts_zeros: bool = True,
    ) -> None:
        super().__init__(
            DSR(
                num_reallocated,
                tolerance,
                initial_threshold,
                growth,
                start_magnitude,
                counts_zeros,
            ),
            period,
            stop_epoch=stop_epoch,
            seed=seed,
            listener=listener,
            model=model,
            optimizer=optimizer,
        )
