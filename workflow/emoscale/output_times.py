"""Keeps the times of outputs in the order in which they were made, also where the clock goes back.

Snakemake sees from the times of files what is to be done again. After a clock was set back, what a
step makes now looks older than what it was made from, and Snakemake ends the run; worse, it looks
older than what was made from the output that it replaces, which is then never made again. So an
output gets a time after those of all files of the study. Where the clock is right, that is so
anyway.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_STEP_SECONDS = 0.001
"""From one output to the next where the clock is behind."""

_WORTH_SAYING_SECONDS = 5.0
"""Clocks of file servers differ by less."""


def install_output_times(results: Path | str) -> bool:
    """Let Snakemake give each output a time after those of its inputs and of all in `results`.

    False where this version of Snakemake is not one that it is known to work with.
    """
    from snakemake.dag import DAG
    from snakemake.logging import logger

    if getattr(getattr(DAG, "check_and_touch_output", None), "orders_times", False):
        return True
    if not all(hasattr(DAG, name) for name in ("check_and_touch_output", "check_output_mtime")):
        logger.warning(
            "This version of Snakemake is another than the pinned one: after the clock was set "
            "back, steps may fail, or be left out that are to be done again."
        )
        return False
    check_and_touch = DAG.check_and_touch_output
    clock = _Clock(results)

    async def touch_in_order(
        self: Any, job: Any, *arguments: Any, check_output_mtime: bool = True, **options: Any
    ) -> None:
        await check_and_touch(self, job, *arguments, check_output_mtime=False, **options)
        if options.get("no_touch"):
            return
        made = [*map(job.shadowed_path, job.output), *([job.benchmark] if job.benchmark else [])]
        # A step on another machine knows its inputs only; the run that sent it looks at all files.
        everything = not (self.workflow.remote_exec or self.workflow.subprocess_exec)
        if clock.put_last(made, job.input, everything):
            logger.info(
                "The clock is behind the times of this study's files: it was set back. The outputs "
                "of this run get times after those, so that nothing is left out or done twice."
            )
        if check_output_mtime:
            await self.check_output_mtime(job, made)

    touch_in_order.orders_times = True  # type: ignore[attr-defined]
    DAG.check_and_touch_output = touch_in_order
    return True


class _Clock:
    """Knows the latest time of a study's files."""

    def __init__(self, results: Path | str) -> None:
        self._results = results
        self._latest: float | None = None
        self._said = False

    def put_last(self, made: Iterable[Any], inputs: Iterable[Any], everything: bool) -> bool:
        """Give what was made a time after all others; True once, where the clock is behind.

        `made` and `inputs` are Snakemake's files.
        """
        there = [file for file in made if os.path.lexists(_time_carrier(file))]
        if not there:
            return False
        times = [_time_of(file) for file in there]
        bounds = [_time_of(file) for file in inputs]
        if everything:
            if self._latest is None:
                self._latest = _latest_to_come(self._results)
            bounds.append(self._latest)
        latest = max(bounds, default=0.0)
        changed = min(times) < latest
        if changed:
            latest += _STEP_SECONDS
            for file in there:
                file.touch((latest, latest))
        if everything:
            self._latest = max(latest, *times)
        if self._said or latest - min(times) < _WORTH_SAYING_SECONDS:
            return False
        self._said = True
        return True


def _time_carrier(file: Any) -> str:
    """Of a folder Snakemake keeps the time in a file."""
    marker = Path(str(file)) / ".snakemake_timestamp"
    return str(marker if file.is_directory and marker.exists() else file)


def _time_of(file: Any) -> float:
    """Seconds since 1970; of a link the later of its own and its target's; 0 where it is gone."""
    path = _time_carrier(file)
    try:
        return max(os.lstat(path).st_mtime, os.stat(path).st_mtime)
    except OSError:
        return 0.0


def _latest_to_come(folder: Path | str) -> float:
    """The latest time of the files in a folder whose time is still to come; 0 where none is so."""
    now = latest = time.time()
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                latest = max(latest, os.lstat(os.path.join(place, name)).st_mtime)
            except OSError:  # another step has just renamed it
                continue
    return latest if latest > now else 0.0
