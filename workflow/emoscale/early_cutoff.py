"""Ends the spread of a change where a step that ran again left the bytes that were there before.

Snakemake compares what a file holds with what it held when it was last read, but only when it
starts: what lies behind a step that runs again in this invocation runs too, whatever the step
leaves. Here the same comparison, with Snakemake's own records, is made again when a step is done.
"""

from __future__ import annotations

from typing import Any

# What is used of Snakemake's inside. Where a version lacks any of it, everything behind a step that
# runs again runs too: more work, the same results.
_GRAPH = ("finish", "update_ready", "reason", "needrun", "finished", "max_checksum_file_size")
_RECORDS = (
    "input_checksums",
    "has_metadata",
    "has_outdated_metadata",
    "params_changed",
    "input_changed",
    "code_changed",
    "software_stack_changed",
    "incomplete",
)


def install_early_cutoff() -> bool:
    """Let Snakemake's graph leave out steps whose inputs turn out to be as they were.

    False where this version of Snakemake is not one that it is known to work with.
    """
    from snakemake.dag import DAG
    from snakemake.logging import logger
    from snakemake.persistence import PersistenceBase

    if getattr(DAG.finish, "cuts_off", False):
        return True
    if not (
        all(hasattr(DAG, name) for name in _GRAPH[:-1])
        and all(hasattr(PersistenceBase, name) for name in _RECORDS)
    ):
        logger.warning(
            "This version of Snakemake is another than the pinned one: steps behind one that runs "
            "again run too, even where it leaves the same bytes."
        )
        return False
    finish = DAG.finish

    async def finish_and_cut_off(
        self: Any, job: Any, update_checkpoint_dependencies: bool = True
    ) -> Any:
        ready = await finish(self, job, update_checkpoint_dependencies)
        if not self.workflow.dryrun and not self.workflow.touch:
            ready = await _leave_out_behind(self, job) or ready
        return ready

    finish_and_cut_off.cuts_off = True  # type: ignore[attr-defined]
    DAG.finish = finish_and_cut_off
    return True


async def _leave_out_behind(graph: Any, job: Any) -> bool:
    """Leave out what waits for `job` (or a group of jobs) and has no reason to run any more."""
    from snakemake.logging import logger

    waiting = [behind for each in _jobs(job) for behind in graph.depending[each]]
    left_out = []
    while waiting:
        behind = waiting.pop()
        if not await _may_be_left_out(graph, behind):
            continue
        graph._needrun.discard(behind)
        graph._ready_jobs.discard(behind)
        graph._n_until_ready.pop(behind, None)
        graph._len -= 1
        graph.reason(behind).clear()
        left_out.append(behind)
        following = [each for each in graph.depending[behind] if graph.needrun(each)]
        for each in following:
            graph._n_until_ready[each] -= 1
        waiting.extend(following)
        graph.update_ready(following)
    if left_out:
        rules = sorted({str(each.rule.name) for each in left_out})
        logger.info(
            f"{len(left_out)} step{'s' if len(left_out) > 1 else ''} left out, for what they read "
            f"is as it was: {', '.join(rules)}"
        )
    return bool(left_out)


async def _may_be_left_out(graph: Any, job: Any) -> bool:
    """Whether all that `job` waits for is done, and nothing of it is new but files' times."""
    records = graph.workflow.persistence
    if (
        not graph.needrun(job)
        or graph.finished(job)
        or job in graph._running
        or job.group is not None
        or graph._n_until_ready[job] > 0
        or not job.output
        or graph.reason(job).forced
        or graph.workflow.iocache.active
    ):
        return False
    for file in job.output:
        if not await file.exists():
            return False
    if (
        await records.incomplete(job)
        or not records.has_metadata(job)
        or records.has_outdated_metadata(job)
        or records.params_changed(job)
        or any(records.input_changed(job))
        or any(records.code_changed(job))
        or any(records.software_stack_changed(job))
    ):
        return False
    made = await job.output_mintime
    for file in job.input:
        if not await file.exists():
            return False
        if await file.is_newer(made) and not await _same(graph, job, file):
            return False
    return True


async def _same(graph: Any, job: Any, file: Any) -> bool:
    """Whether a file holds what it held when `job` last read it."""
    known = graph.workflow.persistence.input_checksums(job, file)
    if len(known) != 1 or None in known:
        return False
    same: bool = await file.is_same_checksum(known.pop(), graph.max_checksum_file_size)
    return same


def _jobs(job: Any) -> list[Any]:
    return list(job) if job.is_group() else [job]
