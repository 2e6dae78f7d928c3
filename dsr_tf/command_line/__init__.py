"""The language of the commands: flags, flagfiles, sentences, exit codes."""

from dsr_tf.command_line.endings import GOES_ON
from dsr_tf.command_line.endings import INTERRUPTED
from dsr_tf.command_line.endings import RUN_ERROR
from dsr_tf.command_line.endings import USAGE_ERROR
from dsr_tf.command_line.endings import run_errors
from dsr_tf.command_line.endings import say
from dsr_tf.command_line.endings import signal_name
from dsr_tf.command_line.endings import usage_errors
from dsr_tf.command_line.errors import RunError
from dsr_tf.command_line.errors import UsageError
from dsr_tf.command_line.naming import naming_flags
from dsr_tf.command_line.naming import without_argument
from dsr_tf.command_line.parsing import arguments
from dsr_tf.command_line.parsing import define
from dsr_tf.command_line.parsing import parse
from dsr_tf.command_line.parsing import parse_flags
from dsr_tf.command_line.parsing import require
from dsr_tf.command_line.parsing import written

__all__ = [
    "GOES_ON",
    "INTERRUPTED",
    "RUN_ERROR",
    "RunError",
    "USAGE_ERROR",
    "UsageError",
    "arguments",
    "define",
    "naming_flags",
    "parse",
    "parse_flags",
    "require",
    "run_errors",
    "say",
    "signal_name",
    "usage_errors",
    "without_argument",
    "written",
]
