"""How a budget of weights is shared over kernels at the start."""

import math
import re
from collections.abc import Mapping
from collections.abc import Sequence

from dsr_tf.core.apportion import apportion
from dsr_tf.core.budget import Budget
from dsr_tf.core.checks import is_number


def check_sparsity(sparsity: float, name: str = "sparsity") -> float:
    """Return `sparsity` as a float.

    Raises:
        ValueError: if it is not a number in [0, 1).
    """
    if not is_number(sparsity) or not 0 <= sparsity < 1:
        raise ValueError(
            f"`{name}` must be a number in [0, 1): the share of weights that "
            f"are inactive. Received: {name}={sparsity!r}"
        )
    return float(sparsity)


def num_active_groups(num_groups: int, sparsity: float) -> int:
    """Number of active groups of `num_groups`: rounded, and at least one.

    `(1 - sparsity) * num_groups` is rounded to the nearest integer (a tie
    goes to the even one), so a product that floating point leaves just
    below an integer still counts as that integer. The authors' code rounds
    down after adding 0.1 and agrees wherever the product is whole.
    """
    return max(1, min(num_groups, round((1 - sparsity) * num_groups)))


def uniform(shape: Sequence[int]) -> int:
    """The same density in every kernel: in proportion to its weights."""
    return math.prod(shape)


def erdos_renyi(shape: Sequence[int]) -> int:
    """ER: density in proportion to `(n_in + n_out) / (n_in * n_out)`.

    The sparser the larger the layer, so that each unit keeps about as many
    connections (Mocanu et al., 2018). Of a convolution it sees channels
    only, not the size of the window.
    """
    *window, num_in, num_out = (1, *shape)
    return math.prod(window) * (num_in + num_out)


def erdos_renyi_kernel(shape: Sequence[int]) -> int:
    """ERK: ER with the window counted like channels.

    Density in proportion to `sum(shape) / prod(shape)` (Evci et al., 2020,
    "Rigging the lottery").
    """
    return sum(shape)


# Stands for all kernels that no regular expression is found in.
REST = "rest"
_SHARES = {
    "uniform": uniform,
    "er": erdos_renyi,
    "erk": erdos_renyi_kernel,
}


class Distribution:
    """How a budget is shared over kernels.

    Args:
        identifier: `"uniform"`, `"er"` or `"erk"`; or a dict `{regular
            expression: sparsity}` for kernels whose path it is found in,
            first match first, while the others share what is left of the
            budget uniformly. `"rest"` in place of an expression stands for
            all other kernels, wherever it is in the dict; then there is no
            budget to be given: it follows.

    Attributes:
        is_complete: Whether it has the sparsity of every kernel, by
            `"rest"`.

    Raises:
        ValueError: if it is none of these.
    """

    def __init__(self, identifier: str | Mapping[str, float]) -> None:
        self._share = uniform
        self._given: dict[re.Pattern[str], float] = {}
        self.is_complete = False
        if isinstance(identifier, Mapping) and identifier:
            given = dict(identifier)
            for pattern, value in given.items():
                if not is_number(value) or not 0 <= value < 1:
                    raise ValueError(
                        "`distribution` must have a number in [0, 1) for each "
                        "expression: the share of weights that are inactive. "
                        f"Received: distribution={{{pattern!r}: {value!r}}}"
                    )
            self.is_complete = REST in given
            # After all others, and found in every path.
            rest = {"": given.pop(REST)} if self.is_complete else {}
            self._given = {
                _compile(pattern): value
                for pattern, value in [*given.items(), *rest.items()]
            }
        elif isinstance(identifier, str) and identifier in _SHARES:
            self._share = _SHARES[identifier]
        else:
            raise ValueError(
                f"`distribution` must be one of {', '.join(_SHARES)}, or a "
                "dict {regular expression: sparsity}. Received: distribution="
                f"{identifier!r}"
            )

    def __call__(
        self,
        paths: Sequence[str],
        shapes: Sequence[Sequence[int]],
        group_sizes: Sequence[int],
        budget: Budget | None,
    ) -> list[int]:
        """Share the budget of a model out.

        Args:
            paths: Names of the kernels.
            shapes: Shapes of the kernels.
            group_sizes: Weights a group of each kernel.
            budget: Number of active weights over all kernels; None where
                the distribution `is_complete`.

        Returns:
            Number of active groups of each kernel, at least one. In weights
            they sum to the budget; where groups differ in size the sum may
            be less by less than the largest.

        Raises:
            ValueError: if the budget is less than one group a kernel, or
                does not agree with the sparsities given by name.
        """
        for pattern in self._given:
            if not any(pattern.search(path) for path in paths):
                raise ValueError(
                    f"`distribution` has a sparsity for {pattern.pattern!r}, "
                    "which is found in the path of no kernel. Accepted are "
                    f"parts of {', '.join(paths[:3])}"
                    f"{', ...' if len(paths) > 3 else ''}"
                )
        sizes = [math.prod(shape) for shape in shapes]
        capacities = [n // size for n, size in zip(sizes, group_sizes)]
        given = [
            self._given_count(path, capacity)
            for path, capacity in zip(paths, capacities)
        ]
        rest = [i for i, count in enumerate(given) if count is None]
        counts = [count or 0 for count in given]
        if budget is None:
            return counts
        budget.check_holds(group_sizes)
        left = budget.num_weights - sum(
            count * size for count, size in zip(counts, group_sizes)
        )
        room = sum(sizes[i] for i in rest)
        least = sum(group_sizes[i] for i in rest)
        if not least <= left <= room:
            raise ValueError(
                f"`distribution`: the sparsities given by name leave {left} "
                "active weights to the other kernels, which hold from "
                f"{least} to {room}. Received: {budget.received} for all "
                "together"
            )
        shared = _at_least_one(
            left,
            [self._share(shapes[i]) for i in rest],
            [capacities[i] for i in rest],
            [group_sizes[i] for i in rest],
        )
        for i, count in zip(rest, shared):
            counts[i] = count
        return counts

    def _given_count(self, path: str, capacity: int) -> int | None:
        for pattern, sparsity in self._given.items():
            if pattern.search(path):
                return num_active_groups(capacity, sparsity)
        return None


def parse(text: str) -> str | dict[str, float]:
    """A distribution written as text, such as in flags.

    Args:
        text: A name, or `REGEX:SPARSITY,REGEX:SPARSITY`.

    Returns:
        The name or the dict that `Distribution` takes.

    Raises:
        ValueError: if it is neither, or has a sparsity for the `"rest"`:
            beside flags there is always a sparsity for all together.
    """
    identifier: str | dict[str, float] = text
    if ":" in text:
        pairs = [part.rpartition(":") for part in text.split(",")]
        try:
            identifier = {name: float(value) for name, _, value in pairs}
        except ValueError:
            raise ValueError(
                "`distribution` must be a name, or a list REGEX:SPARSITY,"
                f"REGEX:SPARSITY. Received: distribution={text!r}"
            ) from None
    elif text not in _SHARES:
        raise ValueError(
            f"`distribution` must be one of {', '.join(_SHARES)}, or a list "
            f"REGEX:SPARSITY,REGEX:SPARSITY. Received: distribution={text!r}"
        )
    if Distribution(identifier).is_complete:
        raise ValueError(
            f"`distribution` cannot have a sparsity for the {REST!r} here: "
            "`sparsity` is that of all kernels together, and the others share "
            f"what it leaves. Received: distribution={text!r}"
        )
    return identifier


def _at_least_one(
    budget: int,
    shares: Sequence[int],
    capacities: Sequence[int],
    group_sizes: Sequence[int],
) -> list[int]:
    """`apportion`, but no kernel is left without an active group.

    What those kernels then have too much, the largest others give; a group
    may be more than is owed, and what is too much of that goes to whoever
    is furthest below its part.
    """
    counts = apportion(budget, shares, capacities, group_sizes)
    counts = [max(1, count) for count in counts]

    def active(i: int) -> int:
        return counts[i] * group_sizes[i]

    everyone = range(len(counts))
    while sum(map(active, everyone)) > budget:
        giver = max((i for i in everyone if counts[i] > 1), key=active)
        counts[giver] -= 1
    while True:
        left = budget - sum(map(active, everyone))
        takers = [
            i
            for i in everyone
            if group_sizes[i] <= left and counts[i] < capacities[i]
        ]
        if not takers:
            return counts
        taker = max(
            takers,
            key=lambda i: budget * shares[i] - active(i) * sum(shares),
        )
        counts[taker] += 1


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (TypeError, re.error) as error:
        raise ValueError(
            "`distribution` must map regular expressions to sparsities. "
            f"Received: {pattern!r} ({error})"
        ) from None
