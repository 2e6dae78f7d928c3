"""Clustered kernels of a SavedModel: places, codes and codebooks.

All of a model are packed together. Their codebooks are one array, and a
weight is a number, its place in that; where it stands is said as for other
weights (`packing`). Codes and gaps of each kernel have Huffman codes of their
own, for they follow laws of their own.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from dsr_tf.core import sparse_arrays
from dsr_tf.export import packing
from dsr_tf.export.layout import Layout
from dsr_tf.layers import ClusteredVariable


class ClusteredKernels:
    """Clustered kernels, packed.

    Args:
        variables: Keras variables of their shapes, which a graph reads.
        kernels: What stands in each, `ClusteredVariable`s.

    Attributes:
        parts: What they are packed in, by name: three byte strings, of gaps,
            codes and codebooks.
        layout: Where each variable lies among the weights of all.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        kernels: Sequence[ClusteredVariable],
    ) -> None:
        codebooks = [
            ops.convert_to_numpy(kernel.codebook) for kernel in kernels
        ]
        sizes = [len(codebook) for codebook in codebooks]
        starts = np.cumsum([0, *sizes[:-1]])
        # Numbers from 1 on, and 0 for a pruned weight; float32 has them all.
        numbers = [
            np.where(codes != 0, codes + np.int64(start), 0).astype("float32")
            for codes, start in zip(map(_codes, kernels), starts)
        ]
        self.layout = Layout(variables, numbers)
        flat = self.layout.rows.reshape(-1).astype("int64")
        used = flat[flat != 0] - 1
        # Which kernel each weight is of: one after another, in their order
        # in the layout.
        owners = np.searchsorted(starts, used, side="right") - 1
        firsts = np.flatnonzero(np.diff(owners, prepend=-1))
        self._firsts = firsts
        self._steps = np.diff(starts[owners[firsts]], prepend=0)
        local = (used - starts[owners]).astype("uint8")
        codes = [part.tobytes() for part in np.split(local, firsts[1:])]
        codebook = np.concatenate(codebooks).astype("float32")
        counts = np.diff(firsts, append=len(owners))
        packed = [
            sparse_arrays.pack_positions(flat, counts),
            sparse_arrays.compress(*codes),
            codebook.tobytes(),
        ]
        self.parts = {"clustered": tf.constant(packed)}
        expected = np.append(np.float32(0), codebook)[flat]
        if not np.array_equal(self.unpack(**self.parts), expected):
            raise RuntimeError("The packed codes do not unpack to the same.")

    def unpack(self, clustered: Any) -> Any:
        """The weights, a tensor of the size of `layout`, from `parts`."""
        gaps, codes, codebook = tf.unstack(clustered)
        raw = tf.io.decode_compressed(codes, "ZLIB")
        local = tf.cast(tf.io.decode_raw(raw, tf.uint8), tf.int32)
        # Where the codebook of a kernel starts, at each of its weights.
        starts = tf.cumsum(
            tf.scatter_nd(
                tf.constant(self._firsts[:, None], tf.int32),
                tf.constant(self._steps, tf.int32),
                tf.shape(local),
            )
        )
        # As integers, because sums of floats flush the smallest to 0.
        bits = tf.gather(tf.io.decode_raw(codebook, tf.int32), local + starts)
        found = tf.scatter_nd(
            packing.positions(gaps)[:, None], bits, [self.layout.rows.size]
        )
        return tf.bitcast(found, tf.float32)


def _codes(kernel: ClusteredVariable) -> np.ndarray:
    return ops.convert_to_numpy(kernel.codes)
