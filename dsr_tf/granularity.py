"""A kernel seen as groups of weights: one mask entry governs one group.

Layers keep one mask entry per group and spread it over the kernel in the
forward pass. Rules of reallocation never meet a granularity: they see the
score of each group, one number per mask entry, and the size of a group.
"""

import abc
import math

import numpy as np


class Granularity(abc.ABC):
    """One way to cut a kernel into groups of equal size."""

    name = None

    @abc.abstractmethod
    def mask_shape(self, kernel_shape):
        """Shape of the mask of a kernel of shape `kernel_shape`."""

    @abc.abstractmethod
    def spread(self, mask):
        """A tensor or array that multiplies the kernel, made from `mask`."""

    @abc.abstractmethod
    def groups(self, kernel):
        """The array `kernel` as `(num_groups, group_size)`.

        Row i holds the weights of entry i of the flattened mask. It is a
        view where the layout allows it.
        """

    @abc.abstractmethod
    def ungroup(self, groups, kernel_shape):
        """The inverse of `groups`: an array of shape `kernel_shape`."""

    def scores(self, groups):
        """Mean magnitude of each group of `(num_groups, group_size)`."""
        return np.abs(groups.astype("float32")).mean(axis=1)

    def group_size(self, kernel_shape):
        """Number of weights that one mask entry governs."""
        return math.prod(kernel_shape) // math.prod(
            self.mask_shape(kernel_shape)
        )


class Element(Granularity):
    """Every weight is a group of its own (unstructured sparsity)."""

    name = "element"

    def mask_shape(self, kernel_shape):
        return tuple(kernel_shape)

    def spread(self, mask):
        return mask

    def groups(self, kernel):
        return np.reshape(kernel, (-1, 1))

    def scores(self, groups):
        return np.abs(groups[:, 0].astype("float32"))

    def ungroup(self, groups, kernel_shape):
        return np.reshape(groups, kernel_shape)


_KINDS = {kind.name: kind for kind in (Element,)}


def get(identifier):
    """The granularity of that name; an instance is returned as it is.

    Raises:
        ValueError: if there is no granularity of that name.
    """
    if isinstance(identifier, Granularity):
        return identifier
    if isinstance(identifier, str) and identifier in _KINDS:
        return _KINDS[identifier]()
    raise ValueError(
        f"`granularity` must be one of {', '.join(sorted(_KINDS))}. "
        f"Received: granularity={identifier!r}"
    )
