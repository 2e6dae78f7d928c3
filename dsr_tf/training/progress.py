"""What a terminal shows while a run trains: a line that changes in place."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any
from typing import Self

import keras
from rich import box
from rich.console import Console
from rich.console import Group
from rich.console import RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.record import Record

# Drawing takes at most this share of the time, and is no use more often.
_SHARE, _SECONDS_BETWEEN = 0.01, 0.1


class Progress(keras.callbacks.Callback):
    """Shows epoch, metrics, and what the last reallocation did.

    In its context the line is there; each epoch leaves another behind. It
    knows of reallocations what `record` is told.

    Args:
        console: A console that is a terminal.
        model: The model, whose masks are counted once.
        epochs: Epoch at which the run ends.
        steps_per_epoch: Number of updates in an epoch.
        start: Number of updates that were made before.
        shows_kernels: Whether there is a table of all masked kernels, too.
        clock: Function that gives the time in seconds.
    """

    def __init__(
        self,
        console: Console,
        model: keras.Model,
        epochs: int,
        steps_per_epoch: int,
        start: int = 0,
        shows_kernels: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._console, self._clock = console, clock
        self._epochs, self._steps_per_epoch = epochs, steps_per_epoch
        self._num_steps = epochs * steps_per_epoch
        self._shows_kernels = shows_kernels
        self._sizes = {w.path: w.size for w in masked_weights(model)}
        self._active = {w.path: w.num_active for w in masked_weights(model)}
        self._at_start = dict(self._active)
        self._record: Record | None = None
        self._metrics: dict[str, float] = {}
        self._step = self._epoch_start = start
        # After the first execution, which compiles.
        self._timed_from: tuple[int, float] | None = None
        self._next_drawing = clock()
        # Whatever goes to another place than this terminal goes there.
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self._live.start()
        # A run that is ended by a second signal could not show it again.
        self._console.show_cursor(True)
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def record(self, record: Record) -> None:
        """Show what a reallocation has done from now on."""
        self._record = record
        self._active.update(record.active)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch_start = max(self._step, epoch * self._steps_per_epoch)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        now = self._clock()
        self._step = self._epoch_start + batch + 1
        self._timed_from = self._timed_from or (self._step, now)
        if now >= self._next_drawing:
            self._read(logs)
            self._draw()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._read(logs)
        line = [f"epoch {epoch + 1}/{self._epochs}", *self._facts()]
        # Printing repeats below itself what was drawn last.
        self._draw()
        self._console.print("  ".join(line), highlight=False)

    def _read(self, logs: dict[str, Any] | None) -> None:
        # Metrics may be tensors, which are waited for.
        for name, title in (("accuracy", "accuracy"), ("val_accuracy", "test")):
            if logs and name in logs:
                self._metrics[title] = float(logs[name])

    def _draw(self) -> None:
        start = self._clock()
        self._live.update(self._shown(), refresh=True)
        end = self._clock()
        pause = max(_SECONDS_BETWEEN, (end - start) / _SHARE)
        self._next_drawing = end + pause

    def _shown(self) -> RenderableType:
        line = Text(self._line())
        if self._shows_kernels and self._sizes:
            return Group(line, self._kernels())
        return line

    def _line(self) -> str:
        per_epoch = self._steps_per_epoch
        # After the last step it is still the last epoch.
        epoch = min(self._step // per_epoch, self._epochs - 1)
        parts = [
            f"epoch {epoch + 1}/{self._epochs}",
            f"step {self._step - epoch * per_epoch}/{per_epoch}",
            self._time_left(),
            *self._facts(),
        ]
        return "  ".join(part for part in parts if part)

    def _facts(self) -> list[str]:
        """What is known now, besides the place in the run."""
        facts = [f"{name} {x:.2%}" for name, x in self._metrics.items()]
        if self._sizes:
            density = sum(self._active.values()) / sum(self._sizes.values())
            facts.append(f"density {density:.4f}")
        record = self._record
        if record is None:
            return facts
        if record.threshold is not None:
            facts.append(f"threshold {record.threshold:.3g}")
        if record.num_pruned == record.num_grown:
            return [*facts, f"moved {record.num_grown:,}"]
        counts = {"pruned": record.num_pruned, "grown": record.num_grown}
        return facts + [f"{name} {n:,}" for name, n in counts.items() if n]

    def _time_left(self) -> str:
        if self._timed_from is None:
            return "compiling"
        first, since = self._timed_from
        if self._step == first:
            return ""
        pace = (self._clock() - since) / (self._step - first)
        to_go = round(pace * (self._num_steps - self._step))
        minutes, seconds = divmod(to_go, 60)
        hours, minutes = divmod(minutes, 60)
        start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
        return f"{start}:{seconds:02} left"

    def _kernels(self) -> Table:
        # A line a kernel, and as much of its name as there is room for.
        table = Table(
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        table.add_column("kernel", overflow="ellipsis", no_wrap=True)
        for name in ("weights", "active", "density", "change", "last"):
            table.add_column(name, justify="right", no_wrap=True)
        pruned = self._record.pruned if self._record else {}
        grown = self._record.grown if self._record else {}
        for path, size in self._sizes.items():
            active = self._active[path]
            table.add_row(
                Text(path),
                f"{size:,}",
                f"{active:,}",
                f"{active / size:.4f}",
                f"{active - self._at_start[path]:+,}",
                f"-{pruned.get(path, 0):,} +{grown.get(path, 0):,}",
            )
        return table
