"""A variable of a layer and the mask that says which weights are active."""

import contextlib
import contextvars
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core.grouping import Grouping
from dsr_tf.layers.active_penalty import ActivePenalty
from dsr_tf.layers.sparse_variable import SparseVariable

if TYPE_CHECKING:
    from dsr_tf.layers.masked import Masked

_Products = dict["MaskedVariable", Callable[[Any], Any]]
_products: contextvars.ContextVar[_Products | None] = contextvars.ContextVar(
    "dsr_tf_products", default=None
)
_Held = dict["MaskedVariable", Any]
_held: contextvars.ContextVar[_Held | None] = contextvars.ContextVar(
    "dsr_tf_held", default=None
)


@contextlib.contextmanager
def exporting(
    products: Mapping["MaskedVariable", Callable[[Any], Any]] | None = None,
) -> Iterator[None]:
    """Within this scope, layers read the variable of a kernel as it is.

    An exported graph is traced this way: it has in the place of the variable
    what the forward pass reads, masked and with LoRA, and needs no masks.

    Args:
        products: For kernels that are not there as arrays, a dict from the
            `MaskedVariable` to a function that multiplies inputs by it.
    """
    token = _products.set(dict(products or {}))
    try:
        yield
    finally:
        _products.reset(token)


@contextlib.contextmanager
def holding(layer: keras.layers.Layer) -> Iterator[None]:
    """Within this scope, weights of a layer are masked once and for all.

    A recurrent layer reads them in every time step, which would mask them,
    and add up their gradients, as often.

    Args:
        layer: A built layer; those inside of it are held as well.
    """
    held = dict(_held.get() or {})
    for part in layer._flatten_layers():
        for weight in getattr(part, "masked_variables", {}).values():
            held[weight] = getattr(part, weight.name)
    token = _held.set(held)
    try:
        yield
    finally:
        _held.reset(token)


class MaskedVariable(SparseVariable):
    """A weight that is stored whole, and the mask that it is read with.

    Attributes:
        kernel: Keras variable, the stored weights, 0 where inactive.
        mask: Keras variable of booleans, True where a group is active.
    """

    def __init__(
        self,
        layer: "Masked",
        name: str,
        kernel: keras.Variable,
        mask: keras.Variable,
        grouping: Grouping,
    ) -> None:
        super().__init__(layer, name, kernel, grouping)
        self._mask = mask

    @property
    def mask(self) -> keras.Variable:
        return self._mask

    @property
    def is_exported(self) -> bool:
        """Whether the variable holds what the forward pass reads."""
        return _products.get() is not None

    @property
    def product(self) -> Callable[[Any], Any] | None:
        """The function that `exporting` has for it, None if it has none."""
        return (_products.get() or {}).get(self)

    @property
    def held(self) -> Any:
        """What the scope `holding` keeps of it; None outside of one."""
        return (_held.get() or {}).get(self)

    @property
    def unread(self) -> list[keras.Variable]:
        return [self.mask]

    def penalize(self, penalty: Any) -> None:
        self.kernel.regularizer = ActivePenalty(self.layer, self.name, penalty)

    def masked(self, weights: Any) -> Any:
        """What the forward pass reads.

        Args:
            weights: Tensor or variable of the kernel's shape.

        Returns:
            Tensor `weights * mask`. Its gradient is 0 where the mask is
            False, unless a method's hook lets it through there.
        """
        weights = ops.convert_to_tensor(weights)
        mask = self.grouping.spread(ops.convert_to_tensor(self.mask))
        return self._by(mask, weights)

    def masked_rows(self, weights: Any, indices: Any) -> Any:
        """Rows of what `masked` gives, which masks these rows only.

        Args:
            weights: Variable of the kernel's shape `(num_rows, size)`.
            indices: Tensor of integers.

        Returns:
            Tensor `(*indices.shape, size)`.
        """
        num_rows, size = self.grouping.kernel_shape
        rows_a_block, block = self.grouping.block_shape
        places = ops.convert_to_tensor(indices)
        if rows_a_block == num_rows:
            places = ops.zeros_like(places)
        elif rows_a_block > 1:
            places = places // rows_a_block
        mask = ops.take(ops.convert_to_tensor(self.mask), places, axis=0)
        if 1 < block < size:
            mask = ops.repeat(mask, block, axis=-1)
        return self._by(mask, ops.take(weights, indices, axis=0))

    def _by(self, mask: Any, weights: Any) -> Any:
        masked = weights * ops.cast(mask, weights.dtype)
        opened = None if self.hook is None else self.hook.gradient_is_dense()
        if opened is None:
            return masked
        # The value is that of `masked`, exactly; the gradient passes through
        # to inactive weights too in the steps that the hook says.
        reached = ops.logical_or(mask, opened)
        reached = weights * ops.cast(reached, weights.dtype)
        return reached + ops.stop_gradient(masked - reached)

    def num_active_groups(self) -> int:
        return int(np.count_nonzero(ops.convert_to_numpy(self.mask)))

    def places(self) -> np.ndarray:
        return np.flatnonzero(ops.convert_to_numpy(self.mask))

    def groups(self) -> np.ndarray:
        kernel = ops.convert_to_numpy(self.kernel)
        return self.grouping.groups(kernel)[self.places()]

    def set_mask(self, mask: np.ndarray) -> None:
        mask = np.reshape(mask, self.mask.shape)
        self.grouping.check_mask(mask)
        groups = self.grouping.groups(ops.convert_to_numpy(self.kernel).copy())
        groups[~mask.reshape(-1)] = 0
        self.mask.assign(mask)
        self.kernel.assign(self.grouping.ungroup(groups))

    def assign(self, places: np.ndarray, groups: np.ndarray) -> None:
        self.mask.assign(self.grouping.mask_of(places))
        self.kernel.assign(self.grouping.kernel_of(places, groups))
