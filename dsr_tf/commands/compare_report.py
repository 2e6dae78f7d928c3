"""What a comparison prints of each run as it ends."""

from rich.console import Console

from dsr_tf.comparison import run_log
from dsr_tf.comparison.plan import PlannedRun


class RunReport:
    """Prints each run as it ends, and what it warned of.

    Flags hold for every run, and so do many warnings: each sentence is
    printed once, and of later runs that they warn as well.

    Args:
        console: Where to print.
        logs: Folder of what the runs have printed.
    """

    def __init__(self, console: Console, logs: str) -> None:
        self._console, self._logs = console, logs
        self._said: set[str] = set()

    def __call__(
        self, run: PlannedRun, summary: dict | None, seconds: float | None
    ) -> None:
        # What nobody reads in a file of its own may be why it is what it is.
        found = [] if seconds is None else run_log.warnings(self._logs, run)
        new = [sentence for sentence in found if sentence not in self._said]
        self._said.update(new)
        again = ", with a warning as above" if len(new) < len(found) else ""
        if summary is None:
            what = "not started" if seconds is None else "failed"
            style = "red"
        else:
            what = f"{summary['test_accuracy']:.2%}, {seconds:.0f} s"
            style = None
        self._console.print(
            f"{run}: {what}{again}",
            style=style,
            highlight=False,
            soft_wrap=True,
        )
        for sentence in new:
            self._console.print(
                f"  {sentence}", style="yellow", highlight=False, soft_wrap=True
            )
