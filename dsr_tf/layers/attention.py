"""Sparse versions of Keras' attention layers."""

from typing import Any

import keras

from dsr_tf.core import draws
from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.in_place import mask_layer
from dsr_tf.layers.kinds import holds_masked
from dsr_tf.layers.masked import Masked

# Stands for the Keras layer among the bases, whose methods a mixin calls.
_KerasLayer: Any = object

# The projections, and which axis of their kernels counts heads.
HEAD_AXES = {
    "query": -2,
    "key": -2,
    "value": -2,
    "gate": -2,
    "attention_output": 0,
}


def head_axes_of(
    layer: keras.layers.Layer, part: keras.layers.Layer
) -> dict[str, int] | None:
    """The axes of heads of what an attention layer holds, None for others."""
    attention = (
        keras.layers.MultiHeadAttention,
        keras.layers.GroupQueryAttention,
    )
    if isinstance(layer, attention) and part.name in HEAD_AXES:
        return {"kernel": HEAD_AXES[part.name]}
    return None


class SparseAttention(_KerasLayer):
    """Mixin for attention whose projections are masked.

    Args:
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            one for each projection to mask, by name: `"query"`, `"key"`,
            `"value"`, `"attention_output"`, and `"gate"` where there is one.
        granularity: What one mask entry governs; `"head"`, what a
            projection has of a head, or see `dsr_tf.core.granularity`. Or a
            dict with one for each projection to mask.
        seed: Integer that masks are drawn from, and what drops out; None
            draws a fresh one.
    """

    # Those that became sparse when they were built already have none.
    _sparsity_given: float | dict[str, float] = 0.0
    _granularity_given: str | Granularity | dict[str, str] = "element"

    def __init__(
        self,
        *args: Any,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity | dict[str, str] = "element",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, seed=seed, **kwargs)
        # Past Keras, which would track what is in a dict.
        self.__dict__.update(
            _sparsity_given=sparsity, _granularity_given=granularity
        )

    def build(
        self,
        query_shape: tuple[int | None, ...],
        value_shape: tuple[int | None, ...],
        key_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        super().build(query_shape, value_shape, key_shape)
        given = self._sparsity_given
        names = [part.name for part in self._projections]
        if not isinstance(given, dict):
            given = dict.fromkeys(names, given)
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(
                f"`sparsity` must be a number in [0, 1), or a dict with keys "
                f"among {', '.join(names)}. Received: sparsity={given!r}"
            )
        seeds = draws.generator(draws.check_seed(self.seed))
        for part in self._projections:
            seed = int(seeds.integers(draws.MAX_SEED))
            if part.name in given:
                granularity = self._granularity_given
                if isinstance(granularity, dict):
                    granularity = granularity[part.name]
                mask_layer(
                    part,
                    given[part.name],
                    granularity,
                    seed,
                    head_axes_of(self, part),
                )
                # It is this layer that has one.
                part.seed = None

    @property
    def _projections(self) -> list[keras.layers.Layer]:
        return [part for part in self._layers if part.name in HEAD_AXES]

    def get_config(self) -> dict[str, Any]:
        masked = [p for p in self._projections if isinstance(p, Masked)]
        sparsity, granularity = self._sparsity_given, self._granularity_given
        if masked:
            configs = {part.name: part.get_config() for part in masked}
            sparsity = {name: c["sparsity"] for name, c in configs.items()}
            granularity = {n: c["granularity"] for n, c in configs.items()}
            if len(set(granularity.values())) == 1:
                granularity = masked[0].granularity
        return {
            **super().get_config(),
            "sparsity": sparsity,
            "granularity": getattr(granularity, "name", granularity),
        }


@holds_masked(keras.layers.MultiHeadAttention)
class SparseMultiHeadAttention(
    SparseAttention, keras.layers.MultiHeadAttention
):
    """`keras.layers.MultiHeadAttention` whose projections are masked.

    Flash attention, caches and masks of positions are Keras' own.

    Args:
        num_heads: Positive integer, number of heads.
        key_dim: Positive integer, size of a head for query and key.
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            one for each projection to mask, by name: `"query"`, `"key"`,
            `"value"`, `"attention_output"`, and `"gate"` where there is one.
        granularity: What one mask entry governs; `"head"`, what a
            projection has of a head, or see `dsr_tf.core.granularity`. Or a
            dict with one for each projection to mask.
        seed: Integer that masks are drawn from, and what drops out; None
            draws a fresh one.
        **kwargs: Any other argument of `keras.layers.MultiHeadAttention`.

    Call arguments, input and output shape: Keras' own.

    Raises:
        ValueError: if an argument is out of range; for `sparsity` and
            `granularity` when the layer is built.
    """


@holds_masked(keras.layers.GroupQueryAttention)
class SparseGroupedQueryAttention(
    SparseAttention, keras.layers.GroupQueryAttention
):
    """`keras.layers.GroupQueryAttention` whose projections are masked.

    Args:
        head_dim: Positive integer, size of a head.
        num_query_heads: Positive integer, number of heads of the query.
        num_key_value_heads: Positive integer, number of heads of key and
            value, which divides `num_query_heads`.
        sparsity, granularity, seed: As for `SparseMultiHeadAttention`.
        **kwargs: Any other argument of `keras.layers.GroupQueryAttention`.

    Call arguments, input and output shape: Keras' own.

    Raises:
        ValueError: if an argument is out of range; for `sparsity` and
            `granularity` when the layer is built.
    """
