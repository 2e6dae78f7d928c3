"""How commands end: one sentence on standard error, and an exit code.

Bad input ends with 2 before anything is written, a run that goes wrong with
1.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator

from dsr_tf.command_line.errors import RunError
from dsr_tf.command_line.errors import UsageError

RUN_ERROR = 1
USAGE_ERROR = 2
# As shells report a process that SIGINT has ended.
INTERRUPTED = 128 + 2

# What can be done about a run of `dsr_tf.train` that has ended too early.
GOES_ON = "; the checkpoints are whole, and --resume goes on"


@contextlib.contextmanager
def usage_errors(name: str) -> Iterator[None]:
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


def signal_name(number: int) -> str:
    """What sentences call a signal: SIGINT is Ctrl-C."""
    if number == signal.SIGINT:
        return "Ctrl-C"
    return signal.Signals(number).name


def say(name: str, error: object) -> None:
    """Print a sentence, which may quote anything, as one line."""
    print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)


@contextlib.contextmanager
def run_errors(name: str, afterwards: str = "") -> Iterator[None]:
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
