"""Which weights are active at the start: a file a rule, found by itself."""

from dsr_tf.conversion.initial_mask import InitialMask
from dsr_tf.core import discovery


def rules() -> dict[str, InitialMask]:
    """The rule of each file in this folder, by the value of `mask=`."""
    return {
        vars(found)["name"]: found()
        for module in discovery.import_modules(__name__, __path__)
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, InitialMask)
        # Not those that a file imports or inherits a name from.
        and found.__module__ == module.__name__
        and vars(found).get("name")
    }


def get(name: str) -> InitialMask:
    """The rule of that name.

    Raises:
        ValueError: if there is none.
    """
    found = rules()
    if not isinstance(name, str) or name not in found:
        raise ValueError(
            f"`mask` must be one of {', '.join(found)}. Received: mask={name!r}"
        )
    return found[name]
