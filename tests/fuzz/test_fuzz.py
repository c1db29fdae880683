from __future__ import annotations

from tests.fuzz.fuzz import failures_of, tasks_of
from tests.fuzz.kinds import KINDS
from tests.fuzz.pool import run


def test_damaged_inputs_end_in_a_sentence() -> None:
    endings = list(run(tasks_of(sorted(KINDS), 180), workers=2, limit_seconds=60.0))
    assert len(endings) == 180
    assert failures_of(endings) == []
