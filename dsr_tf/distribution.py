"""How a budget of weights is shared over kernels at the start."""

import numbers

from dsr_tf.apportion import apportion


def check_sparsity(sparsity, name="sparsity"):
    """Return `sparsity` as a float.

    Raises:
        ValueError: if it is not a number in [0, 1).
    """
    if (
        isinstance(sparsity, bool)
        or not isinstance(sparsity, numbers.Real)
        or not 0 <= sparsity < 1
    ):
        raise ValueError(
            f"`{name}` must be a number in [0, 1): the share of weights that "
            f"are inactive. Received: {name}={sparsity!r}"
        )
    return float(sparsity)


def num_active(num_groups, sparsity):
    """Number of active groups of `num_groups`: rounded, and at least one.

    `(1 - sparsity) * num_groups` is rounded to the nearest integer (a tie
    goes to the even one), so a product that floating point leaves a hair
    below an integer still counts as that integer. The authors' code rounds
    down after adding 0.1 and agrees wherever the product is whole.
    """
    return max(1, min(num_groups, round((1 - sparsity) * num_groups)))


def uniform(num_groups, group_sizes, sparsity):
    """The same density everywhere, exact in total.

    Args:
        num_groups: Number of groups of each kernel.
        group_sizes: Weights a group of each kernel.
        sparsity: Share of inactive weights, in [0, 1).

    Returns:
        Number of active groups of each kernel, at least one. In weights
        they sum to `num_active(all weights, sparsity)`; where groups differ
        in size the sum may be less by less than the largest group.

    Raises:
        ValueError: if the budget is less than one group a kernel.
    """
    sizes = [n * size for n, size in zip(num_groups, group_sizes)]
    return _share_out(sizes, num_groups, group_sizes, sparsity)


def _share_out(shares, num_groups, group_sizes, sparsity):
    num_weights = sum(n * size for n, size in zip(num_groups, group_sizes))
    budget = num_active(num_weights, sparsity)
    if budget < sum(group_sizes):
        raise ValueError(
            f"A budget of {budget} active weights cannot give each of "
            f"{len(num_groups)} kernels an active group, which takes "
            f"{sum(group_sizes)}. Received: sparsity={sparsity}"
        )
    counts = apportion(budget, shares, num_groups, group_sizes)
    # No kernel is left without an active group: whoever has most gives.
    for i, count in enumerate(counts):
        if count == 0:
            counts[i] = 1
            owed = group_sizes[i]
            while owed > 0:
                giver = max(
                    (j for j in range(len(counts)) if counts[j] > 1),
                    key=lambda j: counts[j] * group_sizes[j],
                )
                counts[giver] -= 1
                owed -= group_sizes[giver]
    return counts


_DISTRIBUTIONS = {"uniform": uniform}


def get(identifier):
    """The distribution of that name.

    Raises:
        ValueError: if there is none.
    """
    if callable(identifier):
        return identifier
    if isinstance(identifier, str) and identifier in _DISTRIBUTIONS:
        return _DISTRIBUTIONS[identifier]
    raise ValueError(
        f"`distribution` must be one of {', '.join(sorted(_DISTRIBUTIONS))}. "
        f"Received: distribution={identifier!r}"
    )
