"""From a sentence of the library, about an argument, to one about a flag."""

import contextlib
import re
from collections.abc import Iterator
from collections.abc import Mapping

from dsr_tf.command_line.errors import UsageError

# What the library calls otherwise than the flag that sets it.
_FLAG_OF = {
    "target_sparsity": "pruning_hparams",
    "weight_sparsity_map": "pruning_hparams",
    "budget": "parameter_budget",
    "parameters": "parameter_budget",
    "macs": "mac_budget",
    "share": "keep_share",
    "data": "num_examples",
    "filters": "granularity",
}


@contextlib.contextmanager
def naming_flags(
    values: Mapping[str, object], otherwise: str
) -> Iterator[None]:
    """Turn a `ValueError` inside into a `UsageError` that names a flag.

    The library's messages name an argument, as in "`period` must be" or
    "Received: period=0"; the flag is that of the argument.

    Args:
        values: Dict `{flag: value}`.
        otherwise: The flag to name where the message names none of them.
    """
    try:
        yield
    except UsageError:
        raise
    except ValueError as error:
        name = _named_in(str(error), values) or otherwise
        # What a function is called tells nobody anything.
        reason = re.sub(r"\.? Received: \w+=<.*", "", str(error))
        if reason.startswith(f"`{name}` "):
            reason = without_argument(reason)
        raise UsageError(f"flag --{name}={values[name]}: {reason}") from error


def without_argument(message: str) -> str:
    """A message without the name and the value of the argument that it is
    about, to stand behind those of a flag."""
    named = re.match(r"`(\w+)` ", message)
    if not named:
        return message
    rest = message[named.end() :]
    return re.sub(rf"\. Received: {named[1]}=[^,]*$", "", rest)


def _named_in(message: str, values: Mapping[str, object]) -> str | None:
    """The first flag whose argument a message names, None for none."""
    for words in re.findall(r"`(\w+)`|Received: (\w+)=", message):
        name = "".join(words)
        name = _FLAG_OF.get(name, name)
        if name in values:
            return name
    return None
