"""Flags: defining and parsing them, without any that are global.

Each command has flags of its own, so that importing two commands into one
process is harmless.
"""

import difflib
import os
import re
import sys
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from absl import flags

from dsr_tf.command_line.endings import USAGE_ERROR
from dsr_tf.command_line.endings import usage_errors
from dsr_tf.command_line.errors import UsageError
from dsr_tf.command_line.flagfiles import expand as expand_flagfiles
from dsr_tf.command_line.flagfiles import package_files


def arguments(command: str) -> list[str]:
    """The command line of this process, after the name it is known by.

    Which is that of its script, such as `dsr-train`, or of its module.

    Args:
        command: Name of the command, such as "train".
    """
    script = os.path.basename(sys.argv[0]).removesuffix(".exe")
    if script != f"dsr-{command}":
        script = f"dsr_tf.{command}"
    return [script, *sys.argv[1:]]


def define(
    flag_values: flags.FlagValues,
    name: str,
    default: Any,
    help: str,
    kind: Any = None,
) -> None:
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


def parse(
    flag_values: flags.FlagValues,
    argv: Sequence[str],
    description: str,
    hidden: Collection[str] = (),
    first_steps: str = "",
) -> None:
    """Parse a command line into `flag_values`, or end with a sentence.

    Args:
        flag_values: Where the flags are defined.
        argv: Name of the command, and its arguments.
        description: What --help prints before the flags.
        hidden: Names of flags that --help does not print, since they do
            nothing for this command or are refused.
        first_steps: What is printed in place of an error where nothing is
            given: `{command}` stands for how this one is called, and
            `{flagfiles}` for the folder of those of the package. The exit
            code is that of an error, for nothing has been done: a script
            that has lost its flags must not go on.
    """
    name = argv[0]
    if first_steps and len(argv) == 1:
        command = name if name.startswith("dsr-") else f"python -m {name}"
        first_steps = first_steps.strip().format(
            command=command, flagfiles=package_files()
        )
        print(first_steps, file=sys.stderr)
        sys.exit(USAGE_ERROR)
    if any(word in ("--help", "-h", "-help") for word in argv[1:]):
        _print_help(description, _help(flag_values, hidden))
        sys.exit(0)
    with usage_errors(name):
        parse_flags(flag_values, name, argv[1:])


def parse_flags(
    flag_values: flags.FlagValues, name: str, arguments: Iterable[str]
) -> None:
    """Parse flags, and the flagfiles among them, into `flag_values`.

    Raises:
        UsageError: if one is unknown or its value not accepted.
    """
    try:
        rest = flag_values([name, *expand_flagfiles(arguments)])
    except flags.UnrecognizedFlagError as error:
        raise UsageError(_unknown(error.flagname, flag_values)) from None
    except (flags.Error, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(_sentence(error)) from None
    if len(rest) > 1:
        question = ""
        if rest[1].endswith(".flags"):
            question = f"; did you mean --flagfile={rest[1]}?"
        raise UsageError(
            f"unexpected argument {rest[1]!r}: only flags are accepted"
            f"{question}"
        )


def require(values: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
    """Refuse a command line without flags that must be given.

    Args:
        values: Values of flags, by name.
        wanted: What those that must be given are, by name.

    Raises:
        UsageError: for the first that is not.
    """
    for name, what in wanted.items():
        if not values[name]:
            raise UsageError(f"flag --{name} is required: {what}")


def _unknown(name: str, flag_values: flags.FlagValues) -> str:
    """The sentence on a flag that there is not, with the nearest there is."""
    nearest = difflib.get_close_matches(
        name.replace("-", "_"), [*flag_values, "flagfile", "help"], n=1
    )
    question = f"; did you mean --{nearest[0]}?" if nearest else ""
    return f"Unknown command line flag '{name}'{question}"


def _sentence(error: Exception) -> str:
    text = str(error).replace("FATAL Flags parsing error:", "")
    # As absl says it: ('Non-boolean argument to boolean flag', 'maybe')
    text = re.sub(r"\('Non-boolean arg.*\)", "must be true or false", text)
    return " ".join(text.split())


def written(value: object) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(written, value))
    return str(value)


def _print_help(description: str, flags: str) -> None:
    try:
        print(description.strip(), "", "Flags:", flags, sep="\n", flush=True)
    except BrokenPipeError:
        # Of `head` or a pager that has seen enough. What Python would write
        # at its end has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _help(flag_values: flags.FlagValues, hidden: Collection[str]) -> str:
    lines = []
    for name in flag_values:
        if name in hidden:
            continue
        flag = flag_values[name]
        choices = getattr(flag.parser, "enum_values", None)
        kind = "|".join(choices) if choices else flag.flag_type()
        default = "" if flag.default is None else written(flag.default)
        default = f" (default {default})" if default else ""
        # absl puts the choices before the help as well.
        help = flag.help.removeprefix(f"<{kind}>: ")
        lines.append(f"  --{name}=<{kind}>\n      {help}{default}")
    return "\n".join(lines)
