"""Reading what earlier runs have left: their settings."""

import os

from dsr_tf.command_line import UsageError
from dsr_tf.training import run_summary


def settings_of_run(folder: str | os.PathLike, flag: str = "model") -> dict:
    """The settings in the `summary.json` of a run, {} if there is none.

    Raises:
        UsageError: if it is damaged; `flag` names the run.
    """
    try:
        return run_summary.read(folder, ("settings",))["settings"]
    except FileNotFoundError:
        return {}
    except run_summary.Damaged as error:
        raise UsageError(f"flag --{flag}={folder}: {error}") from error
