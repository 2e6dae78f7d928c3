"""What callbacks keep in a masked layer: a small variable for each feature.

Variables of the model are saved by every way of saving it, so a training
that is resumed goes on as if it had never stopped. The layer itself does not
look into them. What concerns the whole model is read from the first masked
layer; the others have such variables too, since none knows its place.

Files hold the numbers by name, with a version, and leave out what is 0.
"""

import dataclasses
import json
import math
import zlib
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np
from keras import ops

if TYPE_CHECKING:
    from dsr_tf.layers.masked import Masked

VERSION = 2
# Far more than the numbers of a layer take; files may claim anything.
_MAX_BYTES = 2**16
KEY = "state"
# Before there were names, one variable of eight integers held all.
OLD_NAME, OLD_SIZE = "reallocation_state", 8
KEYS = (KEY, OLD_NAME)


@dataclasses.dataclass(frozen=True)
class StateVariable:
    """A variable that a feature keeps its numbers in, 0 at the start.

    Attributes:
        name: Its name in the layer.
        dtype: `"int"`, as the optimizer's count of updates (on the same
            device), or a float.
        size: How many numbers; None for one a masked weight of the layer.
        is_signed: Whether they may be negative.
    """

    name: str
    dtype: str
    size: int | None
    is_signed: bool = False

    def shape(self, layer: "Masked") -> tuple[int]:
        size = len(layer.masked_names) if self.size is None else self.size
        return (size,)


STATE_VARIABLES = (
    # Of the model, see `ReallocationState`: seed plus one, reallocations so
    # far, step of the last, weights carried over;
    StateVariable("reallocation", "int", 4),
    # the method that owns them, and up to three numbers of its own;
    StateVariable("method_state", "int", 4, is_signed=True),
    # and the steps in which gradients reach inactive weights.
    StateVariable("gradient_window", "int", 2),
    # Of each masked weight: moves inside of steps; a smoothed threshold; the
    # standard deviation of the weights before they were pruned; how many were
    # active when a target of accuracy last held.
    StateVariable("num_moved", "int", None),
    StateVariable("pruning_threshold", "float32", None),
    StateVariable("dense_deviation", "float32", None),
    StateVariable("num_held", "int", None),
)


class KeepsIntegers:
    """Base of who keeps integers in a model, in its `method_state`.

    Attributes:
        state_names: Names of up to three of them, 0 at the start.
    """

    state_names: ClassVar[tuple[str, ...]] = ()


def numbers(layer: "Masked") -> dict[str, list]:
    """The numbers of a layer's state that are not 0, by name."""
    found = {}
    for kept in STATE_VARIABLES:
        values = ops.convert_to_numpy(getattr(layer, kept.name))
        if values.any():
            found[kept.name] = values.tolist()
    return found


def save(layer: "Masked", store: Any) -> None:
    """Store `numbers` of a layer, with the version, as JSON."""
    text = json.dumps({"version": VERSION, **numbers(layer)})
    store[KEY] = np.frombuffer(text.encode(), "uint8")


def read(layer: "Masked", store: Any) -> dict[str, np.ndarray]:
    """Read what `save`, or a version before it, stored.

    Returns:
        Dict from the name of a variable of the layer to its array.

    Raises:
        ValueError: if it is damaged, or of a later version.
    """
    if OLD_NAME in store.keys():
        return from_old(layer, np.asarray(store[OLD_NAME]))
    stored = store[KEY]
    if math.prod(np.shape(stored)) > _MAX_BYTES:
        raise _damaged(layer, f"it takes {math.prod(np.shape(stored))} bytes")
    try:
        found = json.loads(np.asarray(stored, "uint8").tobytes())
        version = found.pop("version")
        if type(version) is not int or version < VERSION:
            # Before this one there were no numbers by name.
            raise TypeError(f"it has version={str(version)[:100]}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(layer, error) from error
    except RecursionError as error:
        raise _damaged(layer, "it is nested too deeply") from error
    if version > VERSION:
        raise ValueError(
            f"Layer '{layer.name}' was saved by a later version of dsr_tf: "
            f"its state has version {version}, and this one reads up to "
            f"{VERSION}."
        )
    return checked(layer, found)


def checked(layer: "Masked", found: dict[str, Any]) -> dict[str, np.ndarray]:
    """What `numbers` gave, perhaps damaged since.

    Returns:
        Dict from the name of each variable to its array.

    Raises:
        ValueError: if it is damaged.
    """
    found, values = dict(found), {}
    for kept in STATE_VARIABLES:
        given = found.pop(kept.name, [0] * kept.shape(layer)[0])
        kind, dtype = (int, "int64") if kept.dtype == "int" else (float, "f4")
        is_right = (
            isinstance(given, list)
            and len(given) == kept.shape(layer)[0]
            and all(type(n) in (int, kind) for n in given)
            and all(_is_in_range(n, kept.is_signed) for n in given)
        )
        if not is_right:
            raise _damaged(layer, f"it has {kept.name}={str(given)[:100]}")
        values[kept.name] = np.array(given, dtype)
    if found:
        raise _damaged(layer, f"it has {', '.join(found)[:100]}")
    return values


def assign(layer: "Masked", values: dict[str, np.ndarray]) -> None:
    """Give the variables of a layer's state their values, by name."""
    for name, array in values.items():
        getattr(layer, name).assign(array)


def _is_in_range(number: float, is_signed: bool) -> bool:
    # Not a number is in no range.
    return (-(2**31) if is_signed else 0) <= number < 2**31


def _damaged(layer: "Masked", why: object) -> ValueError:
    return ValueError(f"The state of layer '{layer.name}' is damaged: {why}.")


def owner_number(method_name: str) -> int:
    """What says that `method_state` is that of a method, by its name."""
    return zlib.crc32(method_name.encode()) >> 1


# The bits of the smallest float32 that is a normal number, 1.2e-38.
_SMALLEST_NORMAL = 2**23
# And those of infinity, above which nothing is a number.
_INFINITY = 0x7F800000


def from_old(layer: "Masked", numbers: np.ndarray) -> dict[str, np.ndarray]:
    """The state by name from the eight integers of before.

    These were: reallocations so far, step of the last, the exponent of DSR's
    threshold, weights carried over, the two ends of the window, the seed
    plus one, and a number of each layer's own: moves counted by DeepR, from
    0 up, or a threshold of gradual pruning, as the bits of a float32 or -1
    less those.

    Raises:
        ValueError: if they are damaged.
    """
    if numbers.shape != (OLD_SIZE,) or numbers.dtype.kind != "i":
        raise _damaged(layer, f"it is {numbers.dtype} of shape {numbers.shape}")
    count, last_step, exponent, carry, *window, seed, own = map(int, numbers)
    bits = -1 - own if own < 0 else own
    is_threshold = own < 0 or own >= _SMALLEST_NORMAL
    counts = [count, last_step, carry, *window, seed]
    is_right = (
        all(_is_in_range(n, is_signed=False) for n in counts)
        and all(_is_in_range(n, is_signed=True) for n in (exponent, own))
        and not (is_threshold and bits >= _INFINITY)
    )
    if not is_right:
        raise _damaged(layer, f"it has {numbers.tolist()}")
    owner = owner_number("DSR") if exponent else 0
    num_masked = len(layer.masked_names)
    moved, threshold = np.zeros(num_masked, "int64"), np.zeros(num_masked, "f4")
    if is_threshold:
        threshold[0] = np.int32(bits).view("float32")
    else:
        moved[0] = own
    return {
        "reallocation": np.array([seed, count, last_step, carry]),
        "method_state": np.array([owner, exponent, 0, 0]),
        "gradient_window": np.array(window),
        "num_moved": moved,
        "pruning_threshold": threshold,
        "dense_deviation": np.zeros(num_masked, "f4"),
        "num_held": np.zeros(num_masked, "int64"),
    }
