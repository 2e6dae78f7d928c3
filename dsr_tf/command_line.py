"""What the commands share: parsing flags, and how they end.

Each command has flags of its own (no global ones), so that importing two
commands into one process is harmless. Bad input ends with one sentence on
standard error and exit code 2, before anything is written; a run that goes
wrong, with one sentence and exit code 1.
"""

import contextlib
import re
import sys

from absl import flags

from dsr_tf.errors import RunError
from dsr_tf.errors import UsageError
from dsr_tf.flagfiles import expand as expand_flagfiles

RUN_ERROR = 1
USAGE_ERROR = 2
# As shells report a process that SIGINT has ended.
INTERRUPTED = 128 + 2

# What can be done about a run of `dsr_tf.train` that has ended too early.
GOES_ON = "; the checkpoints are whole, and --resume goes on"


def define(flag_values, name, default, help, kind=None):
    """Define one flag; `kind` is a parser, a list of choices, or None for
    text, and a boolean default makes an on/off flag."""
    if isinstance(kind, (list, tuple)):
        flags.DEFINE_enum(name, default, kind, help, flag_values=flag_values)
    elif isinstance(default, bool) or kind is bool:
        flags.DEFINE_boolean(name, default, help, flag_values=flag_values)
    elif kind is None:
        flags.DEFINE_string(name, default, help, flag_values=flag_values)
    else:
        flags.DEFINE(kind, name, default, help, flag_values=flag_values)


def parse(flag_values, argv, description):
    """Parse a command line into `flag_values`, or end with a sentence."""
    name = argv[0]
    if any(word in ("--help", "-h", "-help") for word in argv[1:]):
        print(description.strip(), "", "Flags:", sep="\n")
        print(_help(flag_values))
        sys.exit(0)
    with usage_errors(name):
        parse_flags(flag_values, name, argv[1:])


def parse_flags(flag_values, name, arguments):
    """Parse flags, and the flagfiles among them, into `flag_values`.

    Raises:
        UsageError: if one is unknown or its value not accepted.
    """
    try:
        rest = flag_values([name, *expand_flagfiles(arguments)])
    except (flags.Error, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(_sentence(error)) from None
    if len(rest) > 1:
        raise UsageError(
            f"unexpected argument {rest[1]!r}: only flags are accepted"
        )


@contextlib.contextmanager
def usage_errors(name):
    """Turn a `UsageError` inside into a sentence and exit code 2.

    And Ctrl-C into one, where the command has no more to say of it.
    """
    try:
        yield
    except UsageError as error:
        say(name, error)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        say(name, "stopped by Ctrl-C")
        sys.exit(INTERRUPTED)


def say(name, error):
    """Print a sentence, which may quote anything, as one line."""
    print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)


@contextlib.contextmanager
def run_errors(name, afterwards=""):
    """Turn what may end a run into a sentence and an exit code.

    1 for a run that has gone wrong, 2 for a `UsageError`.

    Args:
        name: Name of the command.
        afterwards: What the user can do where a file cannot be written.
    """
    try:
        with usage_errors(name):
            yield
    except RunError as error:
        say(name, error)
        sys.exit(RUN_ERROR)
    except OSError as error:
        say(name, f"cannot write or read a file ({error}){afterwards}")
        sys.exit(RUN_ERROR)


# What the library calls otherwise than the flag that sets it.
_FLAG_OF = {
    "target_sparsity": "pruning_hparams",
    "weight_sparsity_map": "pruning_hparams",
    "budget": "parameter_budget",
    "filters": "granularity",
}


@contextlib.contextmanager
def naming_flags(values, otherwise):
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
        raise UsageError(f"flag --{name}={values[name]}: {reason}") from error


def _named_in(message, values):
    """The first flag whose argument a message names, None for none."""
    for words in re.findall(r"`(\w+)`|Received: (\w+)=", message):
        name = "".join(words)
        name = _FLAG_OF.get(name, name)
        if name in values:
            return name
    return None


def _sentence(error):
    text = str(error).replace("FATAL Flags parsing error:", "")
    # As absl says it: ('Non-boolean argument to boolean flag', 'maybe')
    text = re.sub(r"\('Non-boolean arg.*\)", "must be true or false", text)
    return " ".join(text.split())


def _help(flag_values):
    lines = []
    for name in flag_values:
        flag = flag_values[name]
        choices = getattr(flag.parser, "enum_values", None)
        kind = "|".join(choices) if choices else flag.flag_type()
        default = "" if flag.default is None else f" (default {flag.default})"
        # absl puts the choices before the help as well.
        help = flag.help.removeprefix(f"<{kind}>: ")
        lines.append(f"  --{name}=<{kind}>\n      {help}{default}")
    return "\n".join(lines)
