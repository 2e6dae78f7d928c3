"""`with_storage`: a model whose sparse weights are stored in another way."""

import math

import keras
from absl import logging

from dsr_tf.conversion.graph import compile_like
from dsr_tf.conversion.inplace import prepared
from dsr_tf.conversion.inplace import scope_of
from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import Predicate
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.selection import first_few
from dsr_tf.core.memory import num_bytes
from dsr_tf.layers import Masked
from dsr_tf.layers import MaskedWeight
from dsr_tf.layers import masked_weights
from dsr_tf.layers import storages
from dsr_tf.layers.change_storage import change_storage
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.layers.storages import AUTO
from dsr_tf.layers.storages import MASKED


def with_storage(
    model: keras.Model,
    storage: str,
    slack: float | None = None,
    filters: Filters = None,
    inplace: bool = False,
) -> keras.Model:
    """A copy of a sparse model that stores its weights in another way.

    Places, weights, seeds and what callbacks keep stay what they are, so it
    computes the same, and goes on as the model would. Where the model is
    compiled, so is this one, with an optimizer that starts afresh, for it has
    slots for what is stored.

    Args:
        model: A built Keras model with masked layers.
        storage: `"masked"`, whole weights and masks; one that stores active
            groups only, `"blocks"` or `"lists"` of matrices, see
            `dsr_tf.layers.SparseDense` and `SparseConv2D`, `"rows"` of
            embeddings; or `"auto"`,
            for each layer what has been measured to be fastest at its size
            and density, which is logged.
        slack: There is room for so many times the active weights, at least
            1; weights move where there is room. None for 1.25 times with
            blocks, and once, rounded up to a whole number a row, with rows.
        filters: Which layers, as for `sparsify`; None for all that can be
            stored so.
        inplace: Whether to change `model` itself, and return it.

    Returns:
        The model.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, none of its layers can be
            stored so, or an argument is out of range.
    """
    check_model(model, "with_storage")
    check_storage(storage, slack)
    wanted = Predicate(filters)
    masked_weights(model)  # Raises where layers are not built.
    wanted.check_all_found([path for _, path in layers_with_paths(model)])
    reasons = {
        path: "" if storage == AUTO else storages.reason(layer, storage)
        for layer, path in layers_with_paths(model)
        if isinstance(layer, Masked) and wanted(layer, path)
    }
    able = [path for path, why in reasons.items() if not why]
    if not able:
        told = [f"{path} ({why})" for path, why in reasons.items()]
        raise ValueError(
            f"No layer of model '{model.name}' can be stored so: "
            f"{'; '.join(first_few(told)) or 'none is masked'}. Received: "
            f"storage={storage!r}"
        )
    changed = prepared(model, "with_storage", inplace)
    layers = {
        id(layer) for layer, path in layers_with_paths(changed) if path in able
    }
    with scope_of(changed):
        Rooms(storage, slack).store(
            [w for w in masked_weights(changed) if id(w.layer) in layers]
        )
    compile_like(changed, changed)
    return changed


def check_storage(storage: object, slack: object) -> None:
    """Refuse what is no storage, or no slack.

    Raises:
        ValueError: with what they may be.
    """
    known = storages.names()
    if storage not in known:
        raise ValueError(
            f"`storage` must be one of {', '.join(known)}. Received: "
            f"storage={storage!r}"
        )
    if (
        isinstance(slack, bool)
        or not isinstance(slack, (int, float, type(None)))
        or not (slack is None or 1 <= slack < math.inf)
    ):
        raise ValueError(
            "`slack` must be a finite number of at least 1, or None. Received: "
            f"slack={slack!r}"
        )


class Rooms:
    """Masked weights of a model that will be stored in another way.

    Args:
        storage, slack: See `with_storage`.
    """

    def __init__(self, storage: str, slack: float | None) -> None:
        self._storage, self._slack = storage, slack

    def check(self, weights: list[MaskedWeight]) -> None:
        """Refuse a storage that none of the layers can have.

        Raises:
            ValueError: if none of them can.
        """
        reasons = self._reasons(weights)
        if len(reasons) == len(weights):
            raise ValueError(
                "`storage` must be one that some layer can have: "
                f"{'; '.join(first_few(reasons))}. Received: "
                f"storage={self._storage!r}"
            )

    def _reasons(self, weights: list[MaskedWeight]) -> list[str]:
        """Which layers cannot have the storage, and why."""
        if self._storage == AUTO:
            return []
        found = {
            w.path: storages.reason(w.layer, self._storage) for w in weights
        }
        return [f"{path} ({why})" for path, why in found.items() if why]

    def make(self, weight: MaskedWeight, num_active_groups: int) -> None:
        """Let a mask be chosen that there will be room for.

        Args:
            weight: A `MaskedWeight` whose mask is about to be chosen.
            num_active_groups: How many groups of it will be active.

        Raises:
            ValueError: if its groups cannot be stored so.
        """
        storage = self._choose(weight, num_active_groups)
        if storage != MASKED:
            weight.variable.grouping = storages.get(storage).with_room(
                weight.grouping, num_active_groups, slack=self._slack
            )

    def store(self, weights: list[MaskedWeight]) -> None:
        """Store them, now that masks are set.

        Of layers that cannot have the storage nothing is changed, which is
        logged.
        """
        for weight in weights:
            storage = self._choose(weight, weight.variable.num_active_groups())
            if storage != weight.layer.storage:
                change_storage(weight.layer, storage, slack=self._slack)
        if self._storage == AUTO:
            for weight in weights:
                _log(weight.path, weight.layer, weight.variable.name)
        reasons = self._reasons(weights)
        if reasons:
            logging.info(
                "These stay masked, not '%s': %s",
                self._storage,
                "; ".join(first_few(reasons)),
            )

    def _choose(self, weight: MaskedWeight, num_active_groups: int) -> str:
        if self._storage == AUTO:
            return storages.choose(weight.layer, weight, num_active_groups)
        if self._storage in storages.able(weight.layer):
            return self._storage
        return MASKED


def _log(path: str, layer: Masked, name: str) -> None:
    variable = layer.masked_variables[name]
    logging.info(
        "%s is stored as '%s': %s bytes of weights, %s of places or mask.",
        path,
        layer.storage,
        f"{num_bytes(variable.kernel):,}",
        f"{sum(map(num_bytes, variable.unread)):,}",
    )


def masked_copy(model: keras.Model) -> keras.Model:
    """The model with whole weights and masks; itself if it has no others."""
    stored = any(w.variable.is_stored for w in masked_weights(model))
    return with_storage(model, MASKED) if stored else model
