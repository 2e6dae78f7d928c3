"""What a whole run multiplies: the "training FLOPs" of papers."""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

from dsr_tf.layers.summary import SparsitySummary
from dsr_tf.training.budget_log import BudgetLog


def training_macs(
    rows: Sequence[Mapping[str, str]],
    sparsity: SparsitySummary,
    num_steps: int,
    dense_gradients: Collection[int] = (),
) -> int | None:
    """Multiply-adds of a run by active weights, for each example of a batch.

    Evci et al. (2020), Appendix H, "Calculating FLOPs of models and methods":
    a step is a forward pass, and as much twice for the gradients of its
    inputs and of its weights. So a dense step is three times the MACs of the
    network, a sparse one three times those of weights that are active in
    that step. Where a method needs the gradient of inactive weights too, the
    last of the three products is dense. (The paper's RigL takes a batch of
    its own for that, which is one more step; here it is the gradient of the
    step before the reallocation, in place of the sparse one.) The optimizer,
    penalties and what chooses weights are not counted, nor that the first
    layer needs no gradient of its inputs.

    Args:
        rows: All rows of `reallocations.csv`, of `str`.
        sparsity: What is active now, after the last of them.
        num_steps: Number of updates.
        dense_gradients: Those of them, counted from 0, whose gradient is
            that of all weights.

    Returns:
        The number, to be multiplied by the size of a batch; None if MACs of
        a layer are not known.
    """
    whole = sparsity.num_macs
    active = dict(BudgetLog.of(rows, sparsity).at_start)
    total = start = 0
    pending = sorted(dense_gradients, reverse=True)
    last: Mapping[str, str] = {"step": str(num_steps)}
    for row in [*rows, last]:
        end, now = int(row["step"]), sparsity.num_macs_with(active)
        if whole is None or now is None:
            return None
        total += 3 * now * (end - start)
        while pending and pending[-1] < end:
            total += whole - now
            pending.pop()
        start = end
        for path in active:
            active[path] = int(row.get(f"active:{path}", active[path]))
    return total
