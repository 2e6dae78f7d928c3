"""Random draws that depend on a seed and a counter, and on nothing else.

No generator is ever kept: each draw makes its own from what identifies it,
so a run that was stopped and resumed, and every replica of a model, draws
the same numbers (numpy's counter-based Philox generator).
"""

import random

import numpy as np

from dsr_tf.core.checks import is_integer

# Stored in 32 bits, plus one (`ReallocationState`).
MAX_SEED = 2**31 - 2
# More numbers than this are not listed to draw some of them.
MANY = 2**22


def check_seed(seed: int | None) -> int:
    """Return `seed` as an int, or a fresh one where it is None.

    The fresh seed comes from Python's `random`, so that
    `keras.utils.set_random_seed` governs it, as it does Keras' own seeds.

    Raises:
        ValueError: if `seed` is neither None nor an integer from 0 to
            2**31 - 2.
    """
    if seed is None:
        return random.randrange(MAX_SEED + 1)
    if not is_integer(seed) or not 0 <= seed <= MAX_SEED:
        raise ValueError(
            "`seed` must be None or an integer from 0 to 2**31 - 2. "
            f"Received: seed={seed!r}"
        )
    return int(seed)


def generator(
    seed: int, count: int = 0, stream: int = 0
) -> np.random.Generator:
    """A numpy generator for draw `count` of `stream` under `seed`.

    Args:
        seed: Integer from 0 to 2**31 - 2.
        count: Which event draws; 0 is the making of masks, reallocations
            count from 1.
        stream: Which of the kernels draws, below 2**20.
    """
    return np.random.Generator(
        np.random.Philox(key=[seed, (count << 20) + stream])
    )


def distinct(
    generator: np.random.Generator, population: int, number: int
) -> np.ndarray:
    """Distinct numbers below another, every set of so many equally likely.

    Args:
        generator: A `numpy.random.Generator`.
        population: The number that they are below.
        number: How many, at most `population`.

    Returns:
        int64 array `(number,)`. Memory goes with `number`, or is that of
        `MANY` numbers.
    """
    # numpy lists the whole population to draw more than a twentieth of it.
    is_listed = population // 20 < number
    if population <= MANY or not is_listed or 2 * number > population:
        return generator.choice(
            population, number, replace=False, shuffle=False
        )
    found = np.zeros(0, "int64")
    while len(found) < number:
        # Those that were drawn before are drawn anew. No number is preferred,
        # so no set is. (Two sorted parts are merged by the stable sort.)
        more = generator.integers(population, size=number - len(found))
        both = np.sort(np.concatenate([found, np.sort(more)]), kind="stable")
        found = both[np.diff(both, prepend=-1) > 0]
    return found
