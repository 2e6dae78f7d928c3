"""How sparse weights are stored: each storage is a file in this folder.

`"masked"`, whole weights and a mask, is what layers have by themselves, see
`dsr_tf.layers.masked_variable`. The others store active weights only.
"""

from typing import Any

from dsr_tf.core import discovery
from dsr_tf.core.checks import is_integer
from dsr_tf.layers.storages.penalty import check_penalty
from dsr_tf.layers.storages.stored_variable import StoredVariable

__all__ = [
    "AUTO",
    "MASKED",
    "StoredVariable",
    "able",
    "assign",
    "check",
    "check_num_slots",
    "check_penalty",
    "choose",
    "get",
    "has_jit",
    "names",
    "reason",
    "stores",
    "suits_jit",
]

# Whole weights and masks; and what has been measured to be fastest.
MASKED, AUTO = "masked", "auto"


def stores() -> dict[str, type[StoredVariable]]:
    """The storages of active weights only, by name."""
    discovery.import_modules(__name__, __path__)
    found = {kind.storage: kind for kind in StoredVariable.__subclasses__()}
    return dict(sorted(found.items()))


def names() -> tuple[str, ...]:
    """All that a storage of a model may be called."""
    return (MASKED, *stores(), AUTO)


def get(name: str) -> type[StoredVariable]:
    """The storage of that name, one of `stores()`."""
    return stores()[name]


def choose(layer: Any, weight: Any, num_active_groups: int) -> str:
    """The storage of a layer that has been measured to be fastest.

    Args:
        layer: A masked layer.
        weight: Its sparse weight, with a `grouping` and a `kernel`.
        num_active_groups: How many groups of it are active.

    Returns:
        The first of its storages that pays, see `StoredVariable.pays`; else
        `"masked"`.
    """
    for name in able(layer):
        if name != MASKED and get(name).pays(
            weight.grouping,
            num_active_groups,
            layer.compute_dtype,
            layer.has_many_rows,
        ):
            return name
    return MASKED


def suits_jit(storage: str) -> bool:
    """Whether XLA makes layers of that storage faster, where it can."""
    return storage == MASKED or get(storage).suits_jit()


def has_jit(storage: str) -> bool:
    """Whether XLA can compile layers of that storage."""
    return storage == MASKED or get(storage).has_jit


def assign(layer: Any, storage: str, num_slots: int | None) -> None:
    """Say how the weights of a layer are stored, see `Masked`."""
    layer.__dict__.update(storage=storage, num_slots=num_slots)
    layer.supports_jit = suits_jit(storage)


def able(layer: Any) -> tuple[str, ...]:
    """The storages that a masked layer can have."""
    return tuple(n for n in layer.storages if not reason(layer, n))


def reason(layer: Any, storage: str) -> str:
    """Why a masked layer cannot have a storage; `""` if it can."""
    if storage == MASKED:
        return ""
    if storage not in layer.storages:
        return f"there is no such storage of {type(layer).__name__}"
    if layer.quantization_mode is not None:
        return f"it is quantized to {layer.quantization_mode}"
    if getattr(layer, "lora_enabled", False):
        return "it has LoRA, which adds to the whole kernel"
    # Or what holds the layer has a reason.
    return vars(layer).get("why_masked") or layer.reason_to_stay_masked()


def check(layer: Any, storage: str) -> str:
    """Return a storage that a masked layer can have.

    Raises:
        ValueError: if it cannot.
    """
    kind, known = type(layer).__name__, ", ".join(layer.storages)
    if storage not in layer.storages:
        raise ValueError(
            f"`storage` of {kind} must be one of {known}. Received: "
            f"storage={storage!r}"
        )
    why = reason(layer, storage)
    if why:
        raise ValueError(
            f"`storage` of layer '{layer.name}' ({kind}) must be {MASKED}, for "
            f"{why}. Received: storage={storage!r}"
        )
    return storage


def check_num_slots(num_slots: Any) -> int | None:
    """Return a number of slots, or None.

    Raises:
        ValueError: if it is neither None nor a positive integer.
    """
    if num_slots is not None and (not is_integer(num_slots) or num_slots < 1):
        raise ValueError(
            "`num_slots` must be None or a positive integer. Received: "
            f"num_slots={num_slots!r}"
        )
    return num_slots
