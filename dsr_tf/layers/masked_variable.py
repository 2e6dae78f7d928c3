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

from dsr_tf.core import sparse_arrays
from dsr_tf.core.grouping import Grouping
from dsr_tf.layers.active_penalty import ActivePenalty

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


class MaskedVariable:
    """One masked weight of a layer: variable, mask, grouping, and storage.

    Attributes:
        name: The name that the layer has it under, such as `"kernel"`.
        index: Its place among the masked weights of the layer.
        layer: The layer.
        kernel: Keras variable, the stored weights, 0 where inactive.
        mask: Keras variable of booleans, True where a group is active.
        grouping: The `dsr_tf.core.grouping.Grouping` of both.
        hook: What a method does inside of the training step, an
            `InStepHook`, while one is installed; else None.
    """

    def __init__(
        self,
        layer: "Masked",
        name: str,
        kernel: keras.Variable,
        mask: keras.Variable,
        grouping: Grouping,
    ) -> None:
        self.layer, self.name = layer, name
        self.kernel, self.mask, self.grouping = kernel, mask, grouping
        self.index = layer.masked_names.index(name)
        # An `InStepHook` of `dsr_tf.methods`, which is built upon layers.
        self.hook: Any = None

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
    def plain_regularizer(self) -> Any:
        """The penalty on the kernel as the layer was given it, or None."""
        regularizer = self.kernel.regularizer
        if isinstance(regularizer, ActivePenalty):
            return regularizer.penalty
        return regularizer

    @plain_regularizer.setter
    def plain_regularizer(self, penalty: Any) -> None:
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
        """Number of active groups, counted from the mask."""
        return int(np.count_nonzero(ops.convert_to_numpy(self.mask)))

    def set_mask(self, mask: np.ndarray) -> None:
        """Change the mask; weights outside of it are stored as 0.

        Args:
            mask: Boolean array of as many entries as the mask has.

        Raises:
            ValueError: if it breaks the pattern of a granularity N:M.
        """
        mask = np.reshape(mask, self.mask.shape)
        self.grouping.check_mask(mask)
        groups = self.grouping.groups(ops.convert_to_numpy(self.kernel).copy())
        groups[~mask.reshape(-1)] = 0
        self.mask.assign(mask)
        self.kernel.assign(self.grouping.ungroup(groups))

    @property
    def stored_names(self) -> tuple[str, str]:
        """The names that `save` stores under."""
        return f"{self.mask.name}.gaps", f"{self.name}.active"

    def save(self, store: Any) -> None:
        """Store the places and weights of active groups, and nothing else.

        `<mask>.gaps` is that of `dsr_tf.core.sparse_arrays`;
        `<name>.active` has the weights in the order of the mask.

        Args:
            store: A mapping that takes arrays.
        """
        gaps, active = self.stored_names
        mask = ops.convert_to_numpy(self.mask).reshape(-1)
        kernel = ops.convert_to_numpy(self.kernel)
        packed = sparse_arrays.pack_positions(mask)
        store[gaps] = np.frombuffer(packed, "uint8")
        store[active] = self.grouping.groups(kernel)[mask].reshape(-1)

    def read(self, store: Any) -> tuple[np.ndarray, np.ndarray]:
        """Read what `save` stored.

        Returns:
            The kernel and the mask, arrays.

        Raises:
            ValueError: if it is damaged.
        """
        grouping = self.grouping
        gaps, active = self.stored_names
        positions = sparse_arrays.unpack_positions(
            store[gaps], grouping.num_groups
        )
        weights = np.asarray(store[active])
        if weights.size != len(positions) * grouping.group_size:
            raise ValueError(
                f"Layer '{self.layer.name}' has {len(positions)} active "
                f"groups of {grouping.group_size} weights in the file, which "
                f"holds {weights.size} weights: it is damaged."
            )
        mask = np.zeros(grouping.num_groups, "bool")
        mask[positions] = True
        grouping.check_mask(mask)
        groups = np.zeros(
            (grouping.num_groups, grouping.group_size), weights.dtype
        )
        groups[positions] = weights.reshape(-1, grouping.group_size)
        return grouping.ungroup(groups), mask.reshape(grouping.mask_shape)

    def assign(self, kernel: np.ndarray, mask: np.ndarray) -> None:
        """Take what `read` returned."""
        self.mask.assign(mask)
        self.kernel.assign(kernel)
