"""Labels of channels: what carries one label goes, or stays, together."""

import numpy as np

# Channels that cannot go: inputs and outputs of the model, and whatever
# meets a layer of which nobody has said what it does.
FIXED = 0


class Labels:
    """Integers for channels, united where channels belong together.

    A disjoint-set forest: a label points to a smaller one that it has been
    united with, so the root of a class is the label that was made first.
    """

    def __init__(self) -> None:
        self._parents = [FIXED]
        # Roots of channels that were added to others, as residuals are.
        self._added: set[int] = set()

    def fresh(self, num_channels: int) -> np.ndarray:
        """New labels, int64 `(num_channels,)`, none united with another."""
        first = len(self._parents)
        self._parents.extend(range(first, first + num_channels))
        return np.arange(first, first + num_channels)

    def unite(self, first: np.ndarray, second: np.ndarray) -> None:
        """Unite two arrays of labels, entry by entry."""
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            a, b = self._root(a), self._root(b)
            if a != b:
                self._parents[max(a, b)] = min(a, b)

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Unite as `unite` does, and note that the channels are a sum."""
        apart = self.roots(first) != self.roots(second)
        self.unite(first, second)
        self._added.update(first[apart].tolist())

    def fix(self, labels: np.ndarray) -> None:
        """Unite labels with the one of channels that stay."""
        self.unite(labels, np.zeros_like(labels))

    def roots(self, labels: np.ndarray) -> np.ndarray:
        """The root of each label; `FIXED` for those that stay."""
        return np.array([self._root(a) for a in labels.tolist()], "int64")

    @property
    def num_labels(self) -> int:
        """How many there are, all roots being below."""
        return len(self._parents)

    def sums(self) -> set[int]:
        """Roots of all classes that are sums of several layers' channels."""
        return {self._root(label) for label in self._added}

    def _root(self, label: int) -> int:
        parents = self._parents
        while parents[label] != label:
            # Halve the path for those who come later.
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label
