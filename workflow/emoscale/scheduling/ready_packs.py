"""Makes the question whether a pack of steps may start cheap in a large study.

Snakemake asks it of a pack each time a step before it ends, and counts anew, for every step of the
pack, how many of the steps it waits for are in the pack themselves. The tables wait for all
trainings: with ten thousand of them that is a hundred million comparisons of sets. Those counts
change only when packs are formed anew, so here they are kept until then.
"""

from __future__ import annotations

from typing import Any

# What is used of Snakemake's inside; where a version lacks any of it, its own way is kept.
_USED = ("_ready", "update_groups", "update_ready")


def install_ready_packs() -> bool:
    """Let Snakemake's graph keep, of each step of a pack, how many it waits for inside the pack.

    False where this version of Snakemake is not one that it is known to work with: plans of large
    studies for a cluster take longer there, and are the same.
    """
    from snakemake.dag import DAG

    if getattr(DAG._ready, "keeps_counts", False):
        return True
    if not all(hasattr(DAG, name) for name in _USED):
        return False
    form_packs = DAG.update_groups

    def form_packs_and_forget(self: Any) -> None:
        self._waits_inside = {}
        form_packs(self)

    def ready(self: Any, job: Any) -> bool:
        """Whether nothing outside its pack is left that `job`'s pack (or `job` alone) waits for."""
        pack = self._group.get(job)
        if pack is None:
            return bool(self._n_until_ready[job] == 0)
        kept: dict[int, dict[Any, int]] = self._waits_inside
        # `_group` holds the packs until they are formed anew, so no other gets their number.
        inside = kept.get(id(pack))
        if inside is None:
            inside = kept[id(pack)] = {
                each: sum(self._group.get(before) is pack for before in self._dependencies[each])
                for each in pack
            }
        return all(self._n_until_ready[each] == count for each, count in inside.items())

    ready.keeps_counts = True  # type: ignore[attr-defined]
    DAG.update_groups = form_packs_and_forget
    DAG._ready = ready
    return True
