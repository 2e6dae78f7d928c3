"""Settings as a comma-separated list `name=value`, as tf.contrib has them."""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

_SIMPLE = (int, float, str)
# What has no comma outside of brackets, in which expressions may have their
# own: `q=[fc[12]:0.1,fc3:0.2]`.
_ITEM = re.compile(r"(?:[^,\[]|\[(?:[^\[\]]|\[[^\]]*\])*\]?)+")


def split(text: str) -> list[tuple[str, str]]:
    """Names and values; commas in brackets separate nothing.

    Raises:
        ValueError: if a part has no name or no `=`.
    """
    pairs = []
    for item in _ITEM.findall(text):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not name:
            raise _not_a_list(item)
        pairs.append((name, value))
    return pairs


def parse(kind: Any, text: str, ignored: Mapping[str, str]) -> dict[str, Any]:
    """Values for fields of a dataclass, of their types.

    Those of fields that may hold several numbers are lists of text, which
    stand in brackets: `q=[lstm:0.1,fc:0.2]`.

    Args:
        kind: The dataclass.
        text: The list.
        ignored: Other names, which are left out.

    Raises:
        ValueError: if a name is unknown or a value not of the type.
    """
    fields = {field.name: field.type for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for name, value in split(text):
        if name in ignored:
            continue
        if name not in fields:
            raise _not_a_list(f"{name}={value}", fields)
        values[name] = _converted(name, value, fields[name])
    return values


def written(values: Mapping[str, Any]) -> str:
    """The list of text that `parse` reads."""
    return ",".join(
        f"{name}=[{','.join(value)}]"
        if isinstance(value, list)
        else f"{name}={value}"
        for name, value in values.items()
    )


def _converted(name: str, value: str, kind: Any) -> Any:
    kinds = typing.get_args(kind) or (kind,)
    (one, *others) = (k for k in kinds if k is not types.NoneType)
    if others or one not in _SIMPLE:
        inside = value.removeprefix("[").removesuffix("]")
        return [part for part in inside.split(",") if part]
    try:
        return one(value)
    except ValueError:
        raise ValueError(
            f"`{name}` must be of type {one.__name__}. Received: {name}={value}"
        ) from None


def _not_a_list(item: str, names: Mapping[str, Any] | None = None) -> Exception:
    among = f" with names among {', '.join(names)}" if names else ""
    return ValueError(
        "pruning hyperparameters must be a comma-separated list NAME=VALUE"
        f"{among}. Received: {item.strip()!r}"
    )
