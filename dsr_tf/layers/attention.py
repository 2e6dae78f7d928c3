"""Sparse versions of Keras' attention layers."""

from collections.abc import Mapping
from typing import Any

import keras

from dsr_tf.core import draws
from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.in_place import mask_layer
from dsr_tf.layers.kinds import holds_masked
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.storages import MASKED

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
        storage: How projections store their weights, see `SparseEinsumDense`;
            or a dict with one for each projection to mask.
        num_slots: How many groups there is room for; None for the number that
            the storage takes; or such a dict.
        lora: Dict from names of projections to the `rank` and `lora_alpha`
            of their LoRA, as `enable_lora` takes them; Keras' own attention
            leaves these out of its configuration.
    """

    # Those that became sparse when they were built already have none.
    _sparsity_given: float | dict[str, float] = 0.0
    _granularity_given: str | Granularity | dict[str, str] = "element"
    _storage_given: str | dict[str, str] = MASKED
    _num_slots_given: int | dict[str, int | None] | None = None
    _lora_given: Mapping[str, Mapping[str, Any]] = {}

    def __init__(
        self,
        *args: Any,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity | dict[str, str] = "element",
        seed: int | None = None,
        storage: str | dict[str, str] = MASKED,
        num_slots: int | dict[str, int | None] | None = None,
        lora: Mapping[str, Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, seed=seed, **kwargs)
        # Past Keras, which would track what is in a dict.
        self.__dict__.update(
            _sparsity_given=sparsity,
            _granularity_given=granularity,
            _storage_given=storage,
            _num_slots_given=num_slots,
            _lora_given=lora or {},
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
                mask_layer(
                    part,
                    given[part.name],
                    _of(self._granularity_given, part),
                    seed,
                    head_axes_of(self, part),
                    storage=_of(self._storage_given, part),
                    num_slots=_of(self._num_slots_given, part),
                )
                # It is this layer that has one.
                part.seed = None
            if part.name in self._lora_given:
                part.enable_lora(**self._lora_given[part.name])

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
        config = {
            **super().get_config(),
            "sparsity": sparsity,
            "granularity": getattr(granularity, "name", granularity),
        }
        storage, num_slots = self._storage_given, self._num_slots_given
        if masked:
            storage = {part.name: part.storage for part in masked}
            num_slots = {part.name: part.num_slots for part in masked}
        if not _is_all(MASKED, storage) or not _is_all(None, num_slots):
            config.update(storage=storage, num_slots=num_slots)
        lora = {
            part.name: {"rank": part.lora_rank, "lora_alpha": part.lora_alpha}
            for part in self._projections
            if part.lora_enabled
        }
        if lora:
            config["lora"] = lora
        return config


def _is_all(value: Any, given: Any) -> bool:
    """Whether nothing else than a value is given for any projection."""
    return given == value or (
        isinstance(given, dict) and set(given.values()) == {value}
    )


def _of(given: Any, part: keras.layers.Layer) -> Any:
    """What is given for a projection: the same for all, or in a dict."""
    return given[part.name] if isinstance(given, dict) else given


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
        storage: How projections store their weights, see `SparseEinsumDense`;
            or a dict with one for each projection to mask.
        num_slots: How many groups there is room for; None for the number that
            the storage takes; or such a dict.
        lora: Dict from names of projections to the `rank` and `lora_alpha`
            of their LoRA, as `enable_lora` takes them; None for none.
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
        sparsity, granularity, seed, storage, num_slots, lora: As for
            `SparseMultiHeadAttention`.
        **kwargs: Any other argument of `keras.layers.GroupQueryAttention`.

    Call arguments, input and output shape: Keras' own.

    Raises:
        ValueError: if an argument is out of range; for `sparsity` and
            `granularity` when the layer is built.
    """
