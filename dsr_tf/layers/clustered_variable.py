"""A kernel that is read out of a codebook: the few weights, and their codes."""

import dataclasses
from collections.abc import Callable
from collections.abc import Collection
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core import sparse_arrays
from dsr_tf.core.k_means import Clusters


@dataclasses.dataclass(frozen=True, eq=False)
class ClusteredVariable:
    """One kernel of a layer that is read out of a codebook.

    Attributes:
        layer: The layer.
        name: The name that the layer has it under, such as `"kernel"`.
        codebook: Keras variable `(2**bits,)`, the weights that are trained.
        codes: Keras variable of integers, of the kernel's shape; 0 where a
            weight is pruned, else one more than its place in the codebook.
    """

    layer: keras.layers.Layer
    name: str
    codebook: keras.Variable
    codes: keras.Variable

    def kernel(self, codebook: Any = None) -> Any:
        """The kernel as the forward pass reads it, a tensor.

        Args:
            codebook: Tensor or variable to read it from; by default the
                layer's own.
        """
        if codebook is None:
            codebook = self.codebook
        codes = ops.convert_to_tensor(self.codes)
        return _spread(
            ops.convert_to_tensor(codebook), ops.cast(codes, "int32")
        )

    @property
    def size(self) -> int:
        """Number of weights."""
        return int(np.prod(self.codes.shape))

    @property
    def num_active(self) -> int:
        """Number of weights that are not pruned, counted from the codes."""
        return int(np.count_nonzero(ops.convert_to_numpy(self.codes)))

    @property
    def bits(self) -> int:
        """How many say whose weight stands at a place."""
        return int(self.codebook.shape[0]).bit_length() - 1

    def take(
        self, kernel: np.ndarray, cluster: Callable[..., Clusters]
    ) -> None:
        """Let the codebook and codes stand for a kernel.

        Args:
            kernel: Array of its shape; zeros are pruned weights.
            cluster: Function of the others, `(n,)`, and of how many
                centroids there may be.
        """
        if not np.isfinite(kernel).all():
            raise ValueError(
                f"The {self.name} of layer '{self.layer.name}' holds numbers "
                "that are not finite: there are no clusters of them."
            )
        used = kernel != 0
        clusters = cluster(kernel[used], self.codebook.shape[0])
        codes = np.zeros(kernel.shape, "int64")
        codes[used] = clusters.members + 1
        self.codebook.assign(clusters.centroids)
        self.codes.assign(codes.astype(dtype_of_codes(self.bits)))

    def stored_names(self, found: Collection[str]) -> list[str]:
        """The names of what `save` stores, as a file has them.

        Args:
            found: Names in the file.
        """
        by_output = self._names(True)[0] in found
        return [*self._names(by_output), self.codebook.name]

    def save(self, store: Any) -> None:
        """Store the codebook, and codes by Huffman's code.

        `<codes>.gaps` says where weights are, see
        `dsr_tf.core.sparse_arrays`; `<codes>.packed` has the codes there. Or
        it is `<codes>.gaps_by_output`, where that is smaller: there the
        weights of an output come one after another, so that gaps over
        neighbours which are of no use are the same for all outputs.
        """
        codes = ops.convert_to_numpy(self.codes)
        ways = [
            {
                gaps: sparse_arrays.pack_positions(flat),
                packed: sparse_arrays.pack_codes(flat[flat != 0] - 1),
            }
            for by_output in (False, True)
            for gaps, packed in [self._names(by_output)]
            for flat in [_flat(codes, by_output)]
        ]
        smaller = min(ways, key=lambda way: sum(map(len, way.values())))
        for name, data in smaller.items():
            store[name] = np.frombuffer(data, "uint8")
        store[self.codebook.name] = self.codebook

    def read(self, store: Any) -> np.ndarray:
        """The codes that `save` stored.

        Raises:
            ValueError: if they are damaged.
        """
        by_output = self._names(True)[0] in store.keys()
        gaps, packed = self._names(by_output)
        places = sparse_arrays.unpack_positions(store[gaps], self.size)
        found = sparse_arrays.unpack_codes(store[packed], len(places))
        largest = int(found.max(initial=0))
        if largest >= self.codebook.shape[0]:
            raise ValueError(
                f"Layer '{self.layer.name}' has {self.codebook.shape[0]} "
                f"weights in the codebook of its {self.name}, but the file "
                f"has a code of number {largest}: it is damaged."
            )
        codes = np.zeros(self.codes.shape, dtype_of_codes(self.bits))
        order = _flat(np.arange(self.size).reshape(codes.shape), by_output)
        codes.reshape(-1)[order[places]] = found.astype(codes.dtype) + 1
        return codes

    def _names(self, by_output: bool) -> tuple[str, str]:
        gaps = "gaps_by_output" if by_output else "gaps"
        return f"{self.codes.name}.{gaps}", f"{self.codes.name}.packed"


class PenaltyOnKernel(keras.regularizers.Regularizer):
    """The penalty on a kernel, as a function of its codebook."""

    def __init__(self, weight: ClusteredVariable, penalty: Any) -> None:
        self._weight = weight
        self.penalty = keras.regularizers.get(penalty)

    def __call__(self, codebook: Any) -> Any:
        """The penalty, a scalar."""
        return self.penalty(self._weight.kernel(codebook))


def _flat(array: np.ndarray, by_output: bool) -> np.ndarray:
    """An array in one row, perhaps with the last axis first."""
    return (np.moveaxis(array, -1, 0) if by_output else array).reshape(-1)


def dtype_of_codes(bits: int) -> str:
    """One code more than there are weights, for what is pruned."""
    return "uint8" if bits < 8 else "uint16"


def _spread(codebook: Any, codes: Any) -> Any:
    """The weights that codes stand for, a tensor of their shape."""

    @ops.custom_gradient
    def read(weights: Any) -> tuple[Any, Callable[..., Any]]:
        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            if upstream is None:
                (upstream,) = arguments
            # Sums of many numbers of 16 bits are kept in 32.
            dtype = keras.backend.result_type(upstream.dtype, "float32")
            sums = ops.segment_sum(
                ops.reshape(ops.cast(upstream, dtype), (-1,)),
                ops.reshape(codes, (-1,)),
                num_segments=weights.shape[0],
            )
            return ops.cast(sums, weights.dtype)

        return ops.take(weights, codes), gradient

    zero = ops.zeros((1,), codebook.dtype)
    return read(ops.concatenate([zero, codebook]))
