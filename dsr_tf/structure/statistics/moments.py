"""Sums over samples that say what channels do."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Contributions:
    """Second moments of what units add to sampled outputs of a layer.

    For a sample, one number of the output without its bias, `x[u]` is what
    unit u adds to it, and y what it is to be.

    Attributes:
        gram: float64 `(U, U)`, the sum over samples of `x[u] * x[v]`.
        b: float64 `(U,)`, that of `x[u] * y`.
        energy: That of `y**2`.
        num_samples: How many samples there are.
    """

    gram: np.ndarray
    b: np.ndarray
    energy: float
    num_samples: int

    def __add__(self, other: "Contributions") -> "Contributions":
        """What the samples of both say."""
        return Contributions(
            self.gram + other.gram,
            self.b + other.b,
            self.energy + other.energy,
            self.num_samples + other.num_samples,
        )

    def error(self, weights: np.ndarray) -> float:
        """How much of the outputs is missed when units are multiplied.

        Args:
            weights: Array `(U,)`, 0 for units that go.

        Returns:
            The sum over samples of `(y - weights @ x)**2`, as a share of
            that of `y**2`.
        """
        weights = np.asarray(weights, "float64")
        left = self.energy - 2 * self.b @ weights
        left += weights @ self.gram @ weights
        # Both may be rounding.
        return max(0.0, float(left)) / (self.energy or 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class WindowMoments:
    """Second moments of a layer's windows, and of them with targets.

    A window of K positions on C channels has `P = K * C` inputs, and all F
    outputs at a place are targets, without their bias.

    Attributes:
        xx: float64 `(P + 1, P + 1)`, the sum over places of the products of
            inputs, the last of which is 1.
        xy: float64 `(P + 1, F)`, that of their products with targets.
        energy: That of the squares of all targets.
    """

    xx: np.ndarray
    xy: np.ndarray
    energy: float

    def contributions(
        self, kernel: np.ndarray, units: np.ndarray
    ) -> Contributions:
        """What units add to the outputs, of all filters at all places.

        Inputs that belong to none of the units stay; what they add to the
        outputs is taken off the targets.

        Args:
            kernel: Array `(K, C, F)`, the layer's.
            units: Integer array `(U, repeats)`, the channels of each unit.

        Returns:
            The `Contributions`, `x[u]` being what the kernel makes of a
            unit's inputs.
        """
        window, num_channels, num_filters = kernel.shape
        matrix = kernel.reshape(-1, num_filters).astype("float64")
        # What each channel adds is a sum over positions of the window, and
        # each product of two of these a sum over filters.
        gram = self.xx[:-1, :-1] * (matrix @ matrix.T)
        gram = gram.reshape(window, num_channels, window, num_channels)
        gram = gram.sum(axis=(0, 2))
        b = (self.xy[:-1] * matrix).sum(axis=1)
        b = b.reshape(window, num_channels).sum(axis=0)
        energy = self.energy

        others = np.ones(num_channels)
        others[units] = 0
        energy += others @ gram @ others - 2 * b @ others
        b = b - gram @ others

        belongs = np.zeros((len(units), num_channels))
        np.put_along_axis(belongs, units, 1, axis=1)
        return Contributions(
            belongs @ gram @ belongs.T,
            belongs @ b,
            float(energy),
            int(self.xx[-1, -1]) * num_filters,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Responses:
    """How the outputs of C channels vary together over examples.

    Attributes:
        number: How many observations there are.
        mean: float64 `(C,)`.
        scatter: float64 `(C, C)`, the sum of products of deviations from
            the mean.
    """

    number: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Responses":
        """Those of observations `(number, C)`."""
        rows = rows.astype("float64")
        mean = rows.mean(axis=0)
        return cls(len(rows), mean, (rows - mean).T @ (rows - mean))

    def __add__(self, other: "Responses") -> "Responses":
        """Those of the observations of both."""
        number = self.number + other.number
        apart = other.mean - self.mean
        share = other.number / number
        return Responses(
            number,
            self.mean + share * apart,
            self.scatter
            + other.scatter
            + self.number * share * np.outer(apart, apart),
        )

    @property
    def covariance(self) -> np.ndarray:
        """float64 `(C, C)`, unbiased.

        Raises:
            ValueError: if there is only one observation.
        """
        if self.number < 2:
            raise ValueError(
                "The covariance of responses needs at least two examples. "
                f"Received: {self.number}"
            )
        return self.scatter / (self.number - 1)
