"""Being asked to stop: by SIGTERM, or by Ctrl-C."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from types import TracebackType
from typing import NoReturn
from typing import Self

from dsr_tf.command_line import GOES_ON
from dsr_tf.command_line import signal_name

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A signal to a group of processes may reach one of them twice.
_SECONDS_BETWEEN = 1.0


class Stopped(BaseException):
    """A run that was asked to stop; code that handles every `Exception`,
    as there is in Keras, lets it through.

    Args:
        number: Number of the signal.
        what: What the sentence adds.
    """

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"stopped by {signal_name(number)}{what}")
        # As shells report a process that the signal has ended.
        self.exit_code = 128 + number


class StopSignals:
    """In this context the first signal stops a run, the second ends it.

    Both with a sentence on standard error and the exit code that shells
    report for the signal.

    The first stops a run at once; a run that is training, after the current
    step. Python hears signals between two of its own operations only: a run
    that waits for data in TensorFlow hears none. So another thread watches
    for the second.

    Args:
        command: Name for the sentence.

    Attributes:
        asked: Number of the signal that came, 0 for none.
    """

    def __init__(self, command: str) -> None:
        self._command, self.asked = command, 0
        self._waits, self._has_begun, self._handles = False, False, False

    def __enter__(self) -> Self:
        # Python lets the main thread only handle signals.
        self._handles = threading.current_thread() is threading.main_thread()
        if self._handles:
            reader, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
            self._wakeup = signal.set_wakeup_fd(
                self._writer, warn_on_full_buffer=False
            )
            threading.Thread(
                target=self._watch, args=[reader], daemon=True
            ).start()
            self._before = {n: signal.signal(n, self._hear) for n in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handles:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._wakeup)
            os.close(self._writer)
        if isinstance(error, Stopped):
            self._say(error)
            sys.exit(error.exit_code)

    def begin(self) -> None:
        """From now on there is something to resume."""
        self._has_begun = True
        if self._handles:
            # TensorFlow has taken SIGTERM where there are several workers.
            for number in _SIGNALS:
                signal.signal(number, self._hear)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Within this scope the first signal is only noted in `asked`."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        if self.asked:
            raise self._stopped()

    def _stopped(self) -> Stopped:
        return Stopped(self.asked, self._what())

    def _what(self) -> str:
        return GOES_ON if self._has_begun else " before it had begun"

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = number
            if not self._waits:
                raise self._stopped()

    def _watch(self, reader: int) -> None:
        first = None
        with os.fdopen(reader, "rb", buffering=0) as signals:
            while numbers := signals.read(1):
                now = time.monotonic()
                if numbers[0] not in _SIGNALS:
                    continue
                if first is not None and now - first > _SECONDS_BETWEEN:
                    self._end(numbers[0])
                first = first or now

    def _end(self, number: int) -> NoReturn:
        self._say(f"ended by a second {signal_name(number)}{self._what()}")
        os._exit(128 + number)

    def _say(self, sentence: object) -> None:
        print(f"{self._command}: {sentence}", file=sys.stderr, flush=True)
