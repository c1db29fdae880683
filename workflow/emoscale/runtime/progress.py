"""How far long work is: a bar when a terminal watches, plain lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


class WorkProgress:
    """Counts work in a unit (`seconds of audio`, `steps`) and says rate and time left.

    Use as a context manager; call `advance` after each piece of work.
    """

    def __init__(self, what: str, total: float, unit: str) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = 0.0
        self._began = self._last_line = time.monotonic()
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
            self._task = self._bar.add_task(self.what, total=self.total, rate="")
            self._bar.start()
        return self

    def advance(self, amount: float) -> None:
        """Say that `amount` more is done."""
        self.done += amount
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done, rate=self._rate_text())
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._print_line()

    def spare(self, amount: float) -> None:
        """Say that `amount` of the work need not be done."""
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
        return self.done / max(time.monotonic() - self._began, 1e-9)

    def _rate_text(self) -> str:
        return f"{self._rate():,.1f} a second"

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        left = (self.total - self.done) / self._rate() if self.done else float("nan")
        rest = f", about {left:,.0f} s left" if self.done < self.total and self.done else ""
        print(
            f"{self.what}: {self.done:,.0f} of {self.total:,.0f} {self.unit}, "
            f"{self._rate_text()}{rest}",
            file=sys.stderr,
            flush=True,
        )
