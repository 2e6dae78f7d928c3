"""Layers whose kernel repeats the weights of a small bank (HashedNet)."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core import distribution
from dsr_tf.core import draws
from dsr_tf.layers.kinds import ties

# Stands for the Keras layer among the bases, whose methods a mixin calls.
_KerasLayer: Any = object


class Hashed(_KerasLayer):
    """Mixin for a layer whose kernel is read out of a bank of free weights.

    Chen et al. (2015), as the DSR authors do it: every weight of the bank
    stands at equally many positions of the kernel (one more at some), which
    a random permutation chooses, in place of a hash function. It must come
    before the Keras layer among the bases.

    Only the bank is trained, has gradients and optimizer slots, and is
    saved; where its weights stand follows from the seed. While the layer is
    in use, it keeps a table of that, eight bytes a position, and the forward
    pass makes the whole kernel.

    Args:
        sparsity: The bank holds `round((1 - sparsity) * num_weights)`
            weights, at least one; in [0, 1).
        seed: Integer that the positions are drawn from; None draws a fresh
            one, which the layer's configuration keeps.
    """

    def __init__(
        self,
        *args: Any,
        sparsity: float = 0.9,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.sparsity = distribution.check_sparsity(sparsity)
        self.seed = draws.check_seed(seed)
        super().__init__(*args, **kwargs)

    def add_weight(
        self, *args: Any, name: str | None = None, **kwargs: Any
    ) -> keras.Variable:
        """Keras' `add_weight`; in place of the kernel it makes the bank."""
        if name != "kernel":
            return super().add_weight(*args, name=name, **kwargs)
        shape = tuple(args[0] if args else kwargs.pop("shape"))
        self.kernel_shape = shape
        self._positions = _Positions(shape, self.sparsity, self.seed)
        initializer = keras.initializers.get(kwargs.pop("initializer"))

        def bank_initializer(
            bank_shape: Sequence[int], dtype: Any = None
        ) -> Any:
            # Drawn as a kernel, since its scale depends on the shape.
            values = ops.reshape(initializer(shape, dtype=dtype), (-1,))
            return values[: bank_shape[0]]

        return super().add_weight(
            name="bank",
            shape=(self._positions.bank_size,),
            initializer=bank_initializer,
            **kwargs,
        )

    @property
    def bank(self) -> keras.Variable:
        """The variable of free weights."""
        return self._kernel

    @property
    def kernel(self) -> Any:
        """The kernel as the forward pass reads it, a tensor."""
        # Reshaping makes a tensor of the variable, in the compute dtype.
        return self._positions.spread(ops.reshape(self._kernel, (-1,)))

    def set_kernel(self, kernel: np.ndarray, name: str = "kernel") -> None:
        """Take each weight of the bank from the first of its positions."""
        self._kernel.assign(self._positions.first_of(kernel))

    @property
    def plain_variables(self) -> list[keras.Variable]:
        """The layer's own variables but the bank."""
        own = self._trainable_variables + self._non_trainable_variables
        return [variable for variable in own if variable is not self.bank]

    def save_own_variables(self, store: Any) -> None:
        """Store bank and bias under their names."""
        for variable in self._trainable_variables:
            store[variable.name] = variable

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` stored.

        Raises:
            ValueError: if the file holds other variables.
        """
        expected = {variable.name for variable in self._trainable_variables}
        if expected != set(store.keys()):
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) stores the "
                f"variables {sorted(expected)}, but the file holds "
                f"{sorted(store.keys())} for it."
            )
        for variable in self._trainable_variables:
            variable.assign(store[variable.name])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(sparsity=self.sparsity, seed=self.seed)
        return config


class _Positions:
    """Which weight of the bank stands where in a kernel.

    The weights of the bank, over and over in order, are dealt to the
    positions of a random permutation.
    """

    def __init__(
        self, shape: tuple[int, ...], sparsity: float, seed: int
    ) -> None:
        self._shape, self._size = shape, int(np.prod(shape))
        self.bank_size = distribution.num_active_groups(self._size, sparsity)
        permutation = draws.generator(seed).permutation(self._size)
        self._dealt = permutation.astype("int32")
        self._bank_index = np.empty(self._size, "int32")
        self._bank_index[permutation] = np.arange(self._size) % self.bank_size

    def first_of(self, kernel: np.ndarray) -> np.ndarray:
        return np.asarray(kernel).reshape(-1)[self._dealt[: self.bank_size]]

    def spread(self, bank: Any) -> Any:
        """The kernel, and a gradient that needs no scattered addition.

        In the order in which positions were dealt, the gradient is a table
        with a column for each weight of the bank.
        """
        rounds = -(-self._size // self.bank_size)
        missing = rounds * self.bank_size - self._size

        @ops.custom_gradient
        def read(bank: Any) -> tuple[Any, Callable[..., Any]]:
            def gradient(*arguments: Any, upstream: Any = None) -> Any:
                if upstream is None:
                    (upstream,) = arguments
                dealt = ops.take(ops.reshape(upstream, (-1,)), self._dealt)
                dealt = ops.pad(dealt, [[0, missing]])
                table = ops.reshape(dealt, (rounds, self.bank_size))
                return ops.sum(table, axis=0)

            kernel = ops.take(bank, self._bank_index)
            return ops.reshape(kernel, self._shape), gradient

        return read(bank)


@ties(keras.layers.Dense)
class HashedDense(Hashed, keras.layers.Dense):
    """`keras.layers.Dense` whose kernel repeats the weights of a bank.

    HashedNet (Chen et al., 2015), the tied baseline of the paper's Table 5.
    It has as many free weights as a sparse layer has active ones, but every
    connection is there.

    Args:
        units: Positive integer, dimensionality of the output.
        sparsity: The bank holds `round((1 - sparsity) * num_weights)`
            weights, at least one; in [0, 1).
        seed: Integer that the positions are drawn from; None draws a fresh
            one.
        **kwargs: Any other argument of `keras.layers.Dense`; a regularizer
            of the kernel counts each weight of the bank once.

    Input shape: `(batch, ..., input_dim)`.
    Output shape: `(batch, ..., units)`.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    >>> layer = dsr_tf.layers.HashedDense(10, sparsity=0.9, seed=0)
    >>> layer.build((None, 100))
    >>> layer.bank.shape, layer.kernel.shape
    ((100,), (100, 10))
    """

    def __init__(
        self,
        units: int,
        sparsity: float = 0.9,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, sparsity=sparsity, seed=seed, **kwargs)


@ties(keras.layers.Conv2D)
class HashedConv2D(Hashed, keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose kernel repeats the weights of a bank.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Size of the window, an integer or two.
        sparsity: The bank holds `round((1 - sparsity) * num_weights)`
            weights, at least one; in [0, 1).
        seed: Integer that the positions are drawn from; None draws a fresh
            one.
        **kwargs: Any other argument of `keras.layers.Conv2D`; a regularizer
            of the kernel counts each weight of the bank once.

    Input and output shape: as `keras.layers.Conv2D`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        sparsity: float = 0.9,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, sparsity=sparsity, seed=seed, **kwargs
        )
