"""How many weights to move: a number, or a share of the budget."""

from dsr_tf.core.checks import is_integer
from dsr_tf.core.checks import is_number

# A whole number is a count, one below 1 a share.
Amount = int | float


def check(amount: Amount) -> None:
    """Refuse what is neither a count nor a share.

    Raises:
        ValueError: if it is not a positive integer or a number in (0, 1).
    """
    if is_integer(amount):
        is_right = amount >= 1
    else:
        is_right = is_number(amount) and 0 < amount < 1
    if not is_right:
        raise ValueError(
            "`num_reallocated` must be a positive integer, the number of "
            "weights to move in a reallocation, or a number in (0, 1), their "
            f"share of the active weights. Received: num_reallocated={amount!r}"
        )


def num_weights(amount: Amount, budget: int) -> int:
    """The number of weights that `amount` is, at least one.

    A share is rounded to the nearest integer, a tie to the even one.

    Args:
        amount: What `check` accepts.
        budget: Number of active weights of the kernels that move. It never
            changes, so neither does the number.
    """
    if is_integer(amount):
        return int(amount)
    return max(1, round(amount * budget))


def check_fits(amount: Amount, budget: int) -> None:
    """Refuse to move all weights that there are.

    Raises:
        ValueError: if `amount` is not below the budget.
    """
    count = num_weights(amount, budget)
    if count >= budget:
        meaning = "" if is_integer(amount) else f", which is {count}"
        raise ValueError(
            "`num_reallocated` must be smaller than the number of active "
            f"weights, {budget}. Received: num_reallocated={amount}{meaning}"
        )
