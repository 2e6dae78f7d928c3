"""What the commands share: parsing flags, and how they end.

Each command has flags of its own (no global ones), so that importing two
commands into one process is harmless. Bad input ends with one sentence on
standard error and exit code 2, before anything is written; a run that goes
wrong, with one sentence and exit code 1.
"""

import contextlib
import math
import os
import re
import sys

from absl import flags

from dsr_tf.schedule import Schedule

RUN_ERROR = 1
USAGE_ERROR = 2
# As shells report a process that SIGTERM has ended.
PREEMPTED = 128 + 15


class UsageError(ValueError):
    """Input that the user must change; the message is one sentence."""


class RunError(RuntimeError):
    """A run that cannot go on; the message is one sentence."""


class Preempted(RunError):
    """A run that was asked to stop, and has saved what it needs to go on."""


class Whole(flags.ArgumentParser):
    """An integer of at least `minimum`."""

    def __init__(self, minimum=0):
        self.minimum = minimum

    def parse(self, argument):
        try:
            value = int(argument)
        except (TypeError, ValueError):
            value = None
        if value is None or value < self.minimum:
            raise ValueError(
                f"must be an integer of at least {self.minimum}"
            ) from None
        return value

    def flag_type(self):
        return "integer"


class Number(flags.ArgumentParser):
    """A number from `minimum` (or above it) to below `limit`."""

    def __init__(self, minimum=0.0, limit=math.inf, above=False):
        self.minimum, self.limit, self.above = minimum, limit, above

    def parse(self, argument):
        try:
            value = float(argument)
        except (TypeError, ValueError):
            value = math.nan
        low = value > self.minimum if self.above else value >= self.minimum
        if not (low and value < self.limit):
            start = "above" if self.above else "of at least"
            end = "" if self.limit == math.inf else f" and below {self.limit:g}"
            raise ValueError(f"must be a number {start} {self.minimum:g}{end}")
        return value

    def flag_type(self):
        return "number"


class Steps(flags.ArgumentParser):
    """A positive number or a schedule of them, see `dsr_tf.schedule`."""

    def __init__(self, integer=False):
        self.integer = integer

    def parse(self, argument):
        try:
            return Schedule(argument, "value", integer=self.integer)
        except ValueError:
            kind = "integer" if self.integer else "number"
            raise ValueError(
                f"must be a positive {kind}, or a schedule from epoch 0 such "
                "as 0:100,25:200"
            ) from None

    def flag_type(self):
        return "schedule"


class ListOf(flags.ArgumentParser):
    """Values separated by commas, each read by `item`."""

    def __init__(self, item):
        self.item = item

    def parse(self, argument):
        if isinstance(argument, list):
            return argument
        values = [self.item(part) for part in argument.split(",") if part]
        if not values:
            raise ValueError("must be a list of values separated by commas")
        return values

    def flag_type(self):
        return "list"


class Named(flags.ArgumentParser):
    """A text that `lookup` takes, which raises an error for others."""

    def __init__(self, lookup):
        self.lookup = lookup

    def parse(self, argument):
        try:
            self.lookup(argument)
        except re.error as error:
            raise ValueError(
                f"must be a regular expression ({error})"
            ) from None
        return argument

    def flag_type(self):
        return "text"


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
    except flags.Error as error:
        raise UsageError(_sentence(error)) from None
    if len(rest) > 1:
        raise UsageError(
            f"unexpected argument {rest[1]!r}: only flags are accepted"
        )


def expand_flagfiles(arguments, folder=".", depth=0):
    """Replace each `--flagfile=FILE` by the flags that the file holds.

    Unlike absl's own, it looks for a file named in a file beside it, and
    puts what files say before what the command line (or the including file)
    says, wherever `--flagfile` stands, so that the latter always wins.
    """
    from_files, own = [], []
    arguments = list(arguments)
    while arguments:
        argument = arguments.pop(0)
        name, equals, path = argument.partition("=")
        if name.lstrip("-") != "flagfile":
            own.append(argument)
            continue
        if not equals:
            path = arguments.pop(0) if arguments else ""
        from_files += _read_flagfile(os.path.join(folder, path), depth)
    return from_files + own


def _read_flagfile(path, depth):
    if depth > 10:
        raise UsageError(f"flag --flagfile={path}: the file includes itself")
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(
            f"flag --flagfile={path}: cannot be read ({reason})"
        ) from None
    lines = [line for line in lines if line and not line.startswith("#")]
    for line in lines:
        if not line.startswith("--"):
            raise UsageError(
                f"flag --flagfile={path}: each line must be a flag "
                f"--NAME=VALUE or a comment after #, not {line!r}"
            )
    return expand_flagfiles(lines, os.path.dirname(path), depth + 1)


@contextlib.contextmanager
def usage_errors(name):
    """Turn a `UsageError` inside into a sentence and exit code 2."""
    try:
        yield
    except UsageError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)


@contextlib.contextmanager
def run_errors(name):
    """Turn what may end a run into a sentence and an exit code.

    1 for a run that has gone wrong, 2 for a `UsageError`, 143 for one that
    SIGTERM has stopped.
    """
    try:
        with usage_errors(name):
            yield
    except RunError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(PREEMPTED if isinstance(error, Preempted) else RUN_ERROR)
    except OSError as error:
        print(
            f"{name}: cannot write or read a file ({error}); the checkpoints "
            "are whole, and --resume goes on",
            file=sys.stderr,
        )
        sys.exit(RUN_ERROR)


def _sentence(error):
    return " ".join(
        str(error).replace("FATAL Flags parsing error:", "").split()
    )


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
