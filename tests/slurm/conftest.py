"""One SLURM cluster, shared by all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster, one_node_cluster, unavailable_reason


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start a cluster; the test fails with the reason if that is impossible."""
    if reason := unavailable_reason():
        pytest.fail(f"SLURM cannot be started: {reason}")
    with one_node_cluster() as running:
        yield running
