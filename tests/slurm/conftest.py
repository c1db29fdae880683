"""One cluster for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster, missing, one_node_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; where none can be had, the test fails and says what is missing."""
    if reason := missing():
        pytest.fail(f"no SLURM can be started: {reason}")
    with one_node_cluster() as running:
        yield running
