"""Reading `summary.json`, which a finished run leaves: checked before use."""

import json
import math
import os
from collections.abc import Collection
from typing import Any

from dsr_tf.core.checks import is_integer
from dsr_tf.core.checks import is_number

NAME = "summary.json"
_MAX_BYTES = 2**26


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_count(value: Any) -> bool:
    return is_integer(value) and 0 <= value < 2**63


def _is_positive(value: Any) -> bool:
    return _is_count(value) and value > 0


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _is_time(value: Any) -> bool:
    return is_number(value) and math.isfinite(value) and value > 0


def _is_settings(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    size = value.get("image_size")
    return (size is None or _is_positive(size)) and all(
        value.get(name) is None or _is_text(value[name])
        for name in ("dataset", "data_dir")
    )


def _are_kernels(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_kernel, value))


def _is_kernel(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_text(value.get("path"))
        and _is_positive(value.get("size"))
        and _is_count(value.get("num_active"))
        and value["num_active"] <= value["size"]
        and _is_count(value.get("num_active_at_start", 0))
        and _is_positive(value.get("group_size", 1))
        and _is_share(value.get("density"))
        and (value.get("num_uses") is None or _is_count(value["num_uses"]))
    )


def _is_narrowed(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(
            _is_count(value.get(name))
            for name in (
                "num_parameters",
                "dense_num_parameters",
                "dense_num_macs",
            )
        )
        and _is_share(value.get("test_accuracy", 0))
        and isinstance(value.get("units"), dict)
        and all(map(_are_units, value["units"].values()))
    )


def _are_units(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(map(_is_count, value))
        and value[0] <= value[1]
    )


def _are_devices(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(device, dict)
        and _is_text(device.get("type"))
        and _is_text(device.get("name"))
        for device in value
    )


def _are_threads(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


_ACCEPTED = {
    **dict.fromkeys(("method", "phase", "dataset", "model"), _is_text),
    **dict.fromkeys(
        ("seed", "num_reallocations", "num_macs", "num_active_macs"),
        _is_count,
    ),
    **dict.fromkeys(
        (
            "epochs",
            "num_parameters",
            "num_active_parameters",
            "largest_num_active_parameters",
            "saved_model_bytes",
        ),
        _is_positive,
    ),
    **dict.fromkeys(
        (
            "test_accuracy",
            "best_test_accuracy",
            "test_top5_accuracy",
            "mask_density",
            "model_density",
        ),
        _is_share,
    ),
    # What a run was made with, which earlier versions did not note.
    **dict.fromkeys(("version", "tensorflow", "keras", "python"), _is_text),
    "commit": lambda value: value is None or _is_text(value),
    "device": _are_devices,
    "host_threads": _are_threads,
    "seconds_per_epoch": _is_time,
    "num_training_macs": lambda value: is_integer(value) and value >= 0,
    "training_macs_unknown": _is_text,
    "training_macs_ratio": lambda value: is_number(value) and value >= 0,
    "settings": _is_settings,
    "kernels": _are_kernels,
    "narrowed": _is_narrowed,
    "emptied": _are_texts,
}


class Damaged(ValueError):
    """A summary that is not what a run writes; the message says where."""


def read(
    folder: str | os.PathLike, needed: Collection[str] = ()
) -> dict[str, Any]:
    """The summary of the run in a folder.

    Args:
        folder: Folder of the run.
        needed: Names of what it must hold; earlier versions wrote less.

    Returns:
        A dict in which every value that this version knows is of its type.

    Raises:
        FileNotFoundError: if the folder holds none.
        Damaged: if it cannot be read, or holds something else.
    """
    path = os.path.join(folder, NAME)
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"there is no {path}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Damaged(f"{path} cannot be read ({reason})") from error
    try:
        summary = json.loads(content[:_MAX_BYTES])
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is no JSON ({error})") from error
    if not isinstance(summary, dict):
        raise Damaged(
            f"{path} is damaged: it holds a {type(summary).__name__}, not "
            "the results of a run"
        )
    for name, is_accepted in _ACCEPTED.items():
        if name in summary and not is_accepted(summary[name]):
            raise Damaged(
                f"{path} is damaged: it holds {name}={str(summary[name])[:60]}"
            )
        if name not in summary and name in needed:
            raise Damaged(f"{path} is damaged: it does not hold {name}")
    return summary
