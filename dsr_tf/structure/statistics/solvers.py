"""Which channels of a layer matter, from second moments alone.

All is numpy in float64 and looks at matrices of the size of the channels,
never at samples: `gram[c, d]` is the sum over samples of `x[c] * x[d]`, where
`x[c]` is what channel c adds to a sampled output, and `b[c]` that of `x[c] *
y`, where y is the output to reach. `probe`, in this folder, collects them.
Ties go to the channel that comes first.
"""

import numpy as np

# What is smaller, as a share of what there was, is rounding.
_NOTHING = 1e-12


def greedy_discard(gram: np.ndarray, num_kept: int) -> np.ndarray:
    """ThiNet's rule of 2017: discard the channels that together add least.

    The set of discarded channels grows by the one with which the sum over
    the set has the least norm (Luo, Wu & Lin, ICCV 2017, algorithm 1;
    `ThiNet_ICCV/compress_model.py` of the authors).

    Args:
        gram: Array `(C, C)`.
        num_kept: How many channels stay, from 1 to C.

    Returns:
        Boolean array `(C,)`, True for channels that stay.

    Raises:
        ValueError: if `num_kept` is out of range, or a moment is not finite.
    """
    gram = checked_moments(gram, num_kept)
    kept = np.ones(len(gram), "bool")
    # What the squared norm of the sum grows by with each channel.
    growth = gram.diagonal().copy()
    for _ in range(len(gram) - num_kept):
        discarded = int(np.argmin(np.where(kept, growth, np.inf)))
        kept[discarded] = False
        growth += 2 * gram[discarded]
    return kept


def greedy_keep(gram: np.ndarray, b: np.ndarray, num_kept: int) -> np.ndarray:
    """ThiNet's rule of 2018: keep the channels that explain most, re-fitted.

    The set of kept channels grows by the one whose best multiple leaves the
    least of what is not explained yet; then all weights of the set are
    fitted again by least squares (Luo et al., TPAMI 2018;
    `ThiNet_TPAMI/ResNet50/compress_model.py`). That is orthogonal matching
    pursuit.

    Args:
        gram: Array `(C, C)`.
        b: Array `(C,)`.
        num_kept: How many channels stay, from 1 to C.

    Returns:
        Boolean array `(C,)`, True for channels that stay. Where fewer
        channels than asked for explain everything, the first of the others
        fill up the number.

    Raises:
        ValueError: if `num_kept` is out of range, or a moment is not finite.
    """
    gram = checked_moments(gram, num_kept)
    square = gram.diagonal()
    kept = np.zeros(len(gram), "bool")
    # What each channel shares with the residual, and the products of all
    # channels with those kept, made orthogonal.
    shared = np.array(b, "float64")
    basis = np.zeros((len(gram), num_kept))
    most = 0.0
    for number in range(num_kept):
        gain = shared**2 / np.where(square > 0, square, np.inf)
        most = max(most, gain.max())
        gain[gain < _NOTHING * most] = 0
        best = int(np.argmax(np.where(kept, -1, gain)))
        kept[best] = True
        new = gram[best] - basis[:, :number] @ basis[best, :number]
        if new[best] > _NOTHING * square[best]:
            new /= np.sqrt(new[best])
            shared -= new * (shared[best] / new[best])
            basis[:, number] = new
    return kept


def lasso_path(gram: np.ndarray, b: np.ndarray, num_kept: int) -> np.ndarray:
    """The first so many channels of the LASSO.

    The weights that minimize `w @ gram @ w / 2 - b @ w + alpha * sum(|w|)`
    are zero for a large alpha, and each channel gets a weight at some alpha
    below; what is returned are the channels with a weight at the largest
    alpha with that many of them. He, Zhang & Sun (ICCV 2017, section 3.2)
    search for alpha by bisection, with up to a tenth more channels. Here the
    path of the solution is followed exactly, from one alpha at which a
    channel gains or loses its weight to the next: in between, the weights
    are linear in alpha.

    Args:
        gram: Array `(C, C)`.
        b: Array `(C,)`.
        num_kept: How many channels stay, from 1 to C.

    Returns:
        Boolean array `(C,)`, True for channels that stay. Where fewer
        channels than asked for explain everything, the first of the others
        fill up the number.

    Raises:
        ValueError: if `num_kept` is out of range, or a moment is not finite.
    """
    gram = checked_moments(gram, num_kept)
    b = np.asarray(b, "float64")
    signs = np.zeros(len(gram))
    alpha = largest = float(np.abs(b).max())
    while np.count_nonzero(signs) < num_kept:
        alpha, channel, sign = _next_event(gram, b, signs, alpha)
        if alpha <= _NOTHING * largest:
            break
        signs[channel] = sign
    kept = signs != 0
    kept[np.flatnonzero(~kept)[: num_kept - int(kept.sum())]] = True
    return kept


def _next_event(
    gram: np.ndarray, b: np.ndarray, signs: np.ndarray, alpha: float
) -> tuple[float, int, float]:
    """The largest alpha at which a channel gains or loses its weight.

    Returns:
        That alpha, the channel, and the sign of its weight from there on.
    """
    active = np.flatnonzero(signs)
    # Weights are `start - alpha * slope`.
    sides = np.stack([b[active], signs[active]], axis=1)
    start, slope = np.linalg.solve(gram[np.ix_(active, active)], sides).T
    # What a channel shares with the residual is `fixed + alpha * moving`. It
    # gains a weight where that is alpha in size.
    fixed = b - gram[:, active] @ start
    moving = gram[:, active] @ slope
    # (That of a channel which the active ones explain is in proportion to
    # alpha, and never reaches it.)
    ends = (1.0, -1.0, 0.0)
    at = np.full((len(gram), len(ends)), -np.inf)
    for column, sign in enumerate(ends[:2]):
        nearing = 1 - sign * moving
        joins = (signs == 0) & (gram.diagonal() > 0) & (nearing > _NOTHING)
        at[joins, column] = sign * fixed[joins] / nearing[joins]
    leaves = slope * signs[active] < 0
    at[active[leaves], 2] = start[leaves] / slope[leaves]
    at = np.minimum(at, alpha)
    channel, column = divmod(int(np.argmax(at)), len(ends))
    return float(at[channel, column]), channel, ends[column]


def rescale(gram: np.ndarray, b: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """What to multiply the kept channels by, by least squares.

    Args:
        gram: Array `(C, C)`.
        b: Array `(C,)`.
        kept: Boolean array `(C,)`.

    Returns:
        Array `(C,)`, 0 for the others. Of several solutions it is the
        smallest.
    """
    weights = np.zeros(len(gram))
    weights[kept] = np.linalg.lstsq(gram[np.ix_(kept, kept)], b[kept])[0]
    return weights


def reconstruct(
    xx: np.ndarray, xy: np.ndarray, kept: np.ndarray, intercept: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and bias on the kept inputs that come nearest to targets.

    Ordinary least squares. So that inputs that depend on each other are no
    problem, 1e-8 of the trace is added to the diagonal.

    Args:
        xx: Array `(P + 1, P + 1)`: sums over samples of products of inputs,
            the last of which is 1.
        xy: Array `(P + 1, F)`: sums of products of these with the targets.
        kept: Boolean array `(P,)`.
        intercept: Whether there is a bias.

    Returns:
        The kernel `(number kept, F)` and the bias `(F,)`, or zeros.
    """
    square, product = xx[:-1, :-1][np.ix_(kept, kept)], xy[:-1][kept]
    # Sums of inputs and of targets, for a sample.
    x, y = xx[:-1, -1][kept] / xx[-1, -1], xy[-1] / xx[-1, -1]
    if intercept:
        square = square - np.outer(x, x) * xx[-1, -1]
        product = product - np.outer(x, y) * xx[-1, -1]
    # All inputs may be constant.
    ridge = 1e-8 * np.trace(square) or 1.0
    kernel = np.linalg.solve(square + ridge * np.eye(len(square)), product)
    return kernel, y - x @ kernel if intercept else np.zeros_like(y)


def checked_moments(gram: np.ndarray, num_kept: int) -> np.ndarray:
    """Moments of channels in float64, if so many channels can stay.

    Raises:
        ValueError: if a moment is not finite, or `num_kept` is not from 1 to
            the number of channels.
    """
    gram = np.asarray(gram, "float64")
    if not np.isfinite(gram).all():
        raise ValueError("Second moments of channels must be finite")
    if not 1 <= num_kept <= len(gram):
        raise ValueError(
            f"`num_kept` must be from 1 to {len(gram)}, the number of "
            f"channels. Received: num_kept={num_kept}"
        )
    return gram
