"""Which schedules of gradual pruning end at N:M."""

from dsr_tf.core import distribution
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.pruning.hyperparameters import PruningHyperparameters


def check(weight: MaskedWeight, settings: PruningHyperparameters) -> None:
    """Refuse a schedule that does not lead a kernel to its granularity N:M.

    Args:
        weight: The kernel; others than N:M are not looked at.
        settings: What says how it is pruned.

    Raises:
        ValueError: if it does not.
    """
    pattern = weight.grouping.pattern
    if pattern is None:
        return
    wanted = 1 - pattern.num_active / pattern.bundle_size
    name = f"granularity {weight.granularity!r} of {weight.path}"
    if settings.threshold_decay:
        raise ValueError(
            "`threshold_decay` must be 0 where each bundle of weights keeps "
            f"its largest, not those above a threshold, as with {name}. "
            f"Received: threshold_decay={settings.threshold_decay}"
        )
    given = settings.sparsity_of(
        weight.path, settings.sparsity_function_end_step
    )
    if abs(given - wanted) > 1e-6:
        raise ValueError(
            "`target_sparsity`, or what `weight_sparsity_map` makes of it, "
            f"must be {wanted:.6g} with {name}. Received: sparsity={given:.6g}"
        )
    last = settings.end_pruning_step
    if last < 0:
        return
    kept = distribution.num_active_groups(
        pattern.bundle_size, settings.sparsity_of(weight.path, last)
    )
    if kept > pattern.num_active:
        raise ValueError(
            "`end_pruning_step` must leave no more than "
            f"{pattern.num_active} of every {pattern.bundle_size} weights "
            f"active with {name}. Received: end_pruning_step={last}, where "
            f"the schedule still leaves {kept}"
        )
