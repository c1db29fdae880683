"""Progress of long computations: a bar in a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


class WorkProgress:
    """Context manager that shows how much work is completed, its rate and the remaining time.

    Parameters
    ----------
    description : str
        Name of the work, at the start of each line.
    total : float
        Amount of work, in `unit`.
    unit : str
        Unit of the work in the plural, such as "seconds of audio" or "steps".
    """

    def __init__(self, description: str, total: float, unit: str) -> None:
        self.description, self.total, self.unit = description, total, unit
        self.completed = 0.0
        self._start_time = self._last_line_time = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> WorkProgress:
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + self.unit),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(self.description, total=self.total, rate="")
            self._bar.start()
        return self

    def advance(self, amount: float) -> None:
        """Report completed work.

        Parameters
        ----------
        amount : float
            Work completed since the last call.
        """
        self.completed += amount
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.completed, rate=self._rate_text())
        elif time.monotonic() - self._last_line_time >= SECONDS_BETWEEN_LINES:
            self._print_line()

    def reduce_total(self, amount: float) -> None:
        """Report work that turned out to be unnecessary.

        Parameters
        ----------
        amount : float
            Work to subtract from the total.
        """
        self.total -= amount
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=self.total)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._print_line()

    def _rate(self) -> float:
        return self.completed / max(time.monotonic() - self._start_time, 1e-9)

    def _rate_text(self) -> str:
        return f"{self._rate():,.1f} per second"

    def _print_line(self) -> None:
        self._last_line_time = time.monotonic()
        remaining = ""
        if 0 < self.completed < self.total:
            seconds = (self.total - self.completed) / self._rate()
            remaining = f", about {seconds:,.0f} s left"
        print(
            f"{self.description}: {self.completed:,.0f} of {self.total:,.0f} {self.unit}, "
            f"{self._rate_text()}{remaining}",
            file=sys.stderr,
            flush=True,
        )
