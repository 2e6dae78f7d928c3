"""Layers whose kernels hold few different weights (Deep Compression).

Han et al. (2016), section 3: of a kernel is kept a codebook of a few weights,
which are trained, and for each place a code, which says whose weight stands
there. Code 0 is that of the places that have been pruned.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dsr_tf.core.checks import is_integer
from dsr_tf.core.k_means import Clusters
from dsr_tf.core.k_means import k_means
from dsr_tf.layers.clustered_variable import ClusteredVariable
from dsr_tf.layers.clustered_variable import PenaltyOnKernel
from dsr_tf.layers.clustered_variable import dtype_of_codes

# Stands for the Keras layer among the bases, whose methods a mixin calls.
_KerasLayer: Any = object
# Codes of weights are written as bytes.
MAX_BITS = 8


def check_bits(bits: object) -> int:
    """Return `bits` as an int.

    Raises:
        ValueError: if it is no integer from 1 to 8.
    """
    if not is_integer(bits) or not 1 <= bits <= MAX_BITS:
        raise ValueError(
            f"`bits` must be an integer from 1 to {MAX_BITS}. Received: "
            f"bits={bits!r}"
        )
    return int(bits)


class Clustered(_KerasLayer):
    """Mixin for a layer whose kernels are read out of codebooks.

    It must come before the Keras layer among the bases. Such a kind comes
    with every masked one, see `dsr_tf.layers.kinds.masks`.

    A new layer holds zeros: `dsr_tf.cluster` makes one of a trained layer,
    and `set_kernel` or a file gives it weights. Only codebooks are trained;
    the gradient of a weight of theirs is the sum of those of the places
    where it stands (the paper's equation 3). A regularizer of the kernel is
    about the whole kernel.

    Args:
        bits: A codebook has `2**bits` weights; an integer from 1 to 8, or a
            dict of them by the names of the kernels.
    """

    # Set by the kind: the names of the kernels.
    clustered_names: tuple[str, ...] = ()
    clustered_variables: dict[str, ClusteredVariable]
    # How `set_kernel` finds clusters.
    cluster: Callable[..., Clusters]

    def __init__(
        self, *args: Any, bits: int | dict[str, int] = 6, **kwargs: Any
    ) -> None:
        # Past Keras, which would track what is in dicts.
        self.__dict__.update(
            _bits=_bits_by_name(bits, self.clustered_names),
            clustered_variables={},
            cluster=k_means,
        )
        super().__init__(*args, **kwargs)

    @property
    def bits(self) -> int | dict[str, int]:
        """As they are given; a dict where kernels differ."""
        different = set(self._bits.values())
        return dict(self._bits) if len(different) > 1 else different.pop()

    def add_weight(
        self, *args: Any, name: str | None = None, **kwargs: Any
    ) -> keras.Variable:
        """Keras' `add_weight`; in place of a kernel it makes a codebook."""
        if name is None or name not in self.clustered_names:
            return super().add_weight(*args, name=name, **kwargs)
        shape = tuple(args[0] if args else kwargs.pop("shape"))
        kwargs.pop("initializer", None)
        regularizer = kwargs.pop("regularizer", None)
        if kwargs.pop("constraint", None) is not None:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) cannot hold "
                f"its {name} to a constraint, for only a codebook is trained."
            )
        prefix = "" if len(self.clustered_names) == 1 else f"{name}_"
        bits = self._bits[name]
        codebook = super().add_weight(
            name=f"{prefix}codebook",
            shape=(2**bits,),
            initializer="zeros",
            **kwargs,
        )
        codes = super().add_weight(
            name=f"{prefix}codes",
            shape=shape,
            initializer="zeros",
            dtype=dtype_of_codes(bits),
            trainable=False,
        )
        setattr(self, f"{prefix}codebook", codebook)
        setattr(self, f"{prefix}codes", codes)
        variable = ClusteredVariable(self, name, codebook, codes)
        self.clustered_variables[name] = variable
        if regularizer is not None:
            codebook.regularizer = PenaltyOnKernel(variable, regularizer)
        return codebook

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Refused: what is added would be in no codebook.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"Layer '{self.name}' ({type(self).__name__}) takes no LoRA: its "
            "kernel is read out of a codebook. Use `dsr_tf.strip` first."
        )

    def set_kernel(self, kernel: np.ndarray, name: str = "kernel") -> None:
        """Let the codebook and the codes stand for a kernel.

        Args:
            kernel: Its values; zeros are pruned weights, and stay zeros.
            name: The name that the layer has it under.

        Raises:
            ValueError: if some are not finite.
        """
        self.clustered_variables[name].take(kernel, self.cluster)

    def save_own_variables(self, store: Any) -> None:
        """Store codebooks, packed codes, and all other variables.

        See `ClusteredVariable.save`.
        """
        for weight in self.clustered_variables.values():
            weight.save(store)
        for variable in self.plain_variables:
            store[variable.name] = variable

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` stored.

        Raises:
            ValueError: if the file holds other variables, or is damaged.
        """
        weights = self.clustered_variables.values()
        found = set(store.keys())
        rest = self.plain_variables
        expected = {variable.name for variable in rest}
        expected = expected.union(*(w.stored_names(found) for w in weights))
        if expected != found:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) stores the "
                f"variables {sorted(expected)}, but the file holds "
                f"{sorted(found)} for it."
            )
        codes = [weight.read(store) for weight in weights]
        for weight, new in zip(weights, codes):
            weight.codes.assign(new)
            weight.codebook.assign(store[weight.codebook.name])
        for variable in rest:
            variable.assign(store[variable.name])

    @property
    def plain_variables(self) -> list[keras.Variable]:
        """The layer's own variables but those of its kernels."""
        special = {
            id(variable)
            for weight in self.clustered_variables.values()
            for variable in (weight.codebook, weight.codes)
        }
        own = self._trainable_variables + self._non_trainable_variables
        return [variable for variable in own if id(variable) not in special]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": self.bits}


def clustered_property(name: str) -> property:
    """The attribute that the forward pass reads a clustered kernel from."""

    def read(layer: Any) -> Any:
        weight = layer.clustered_variables.get(name)
        if weight is None:  # Keras asks for it while it is being made.
            return vars(layer).get(f"_{name}")
        return weight.kernel()

    def write(layer: Any, variable: Any) -> None:
        setattr(layer, f"_{name}", variable)

    return property(read, write, doc=f"`{name}`, a tensor.")


def _bits_by_name(bits: object, names: tuple[str, ...]) -> dict[str, int]:
    if not isinstance(bits, dict):
        return dict.fromkeys(names, check_bits(bits))
    if set(bits) != set(names):
        raise ValueError(
            "`bits` must be an integer, or a dict with the keys "
            f"{', '.join(names)}. Received: bits={bits!r}"
        )
    return {name: check_bits(bits[name]) for name in names}
