"""A study that Snakemake believes to be finished, without anything computed, to ask what reruns."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
    SchedulingSettings,
)

from tests.conftest import PROJECT

Pending = dict[str, list[str]]
"""Outputs that a run would make again, by rule."""


@dataclass
class TouchedStudy:
    """A folder whose results are empty files; Snakemake has recorded how each was made."""

    folder: Path
    config: dict[str, Any]
    project: Path = PROJECT

    def finish(self) -> None:
        """Let Snakemake touch every output, which records parameters, inputs and code."""
        for output in [path for paths in self.pending().values() for path in paths]:
            path = self.folder / output
            if path == self.folder / self.config["corpus"]["root"]:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        with self._graph(yaml.safe_dump(self.config), DAGSettings(forceall=True)) as graph:
            graph.execute_workflow(executor="touch", scheduling_settings=SchedulingSettings())

    def pending(self, config: dict[str, Any] | None = None) -> Pending:
        """What a run with this configuration would make, as Snakemake's summary says it."""
        return self.pending_of(yaml.safe_dump(config or self.config))

    def pending_of(self, text: str) -> Pending:
        """The same, of a configuration file with this text."""
        told = io.StringIO()
        with self._graph(text) as graph, contextlib.redirect_stdout(told):
            graph.summary()
        pending: Pending = {}
        for line in told.getvalue().splitlines()[1:]:
            output, _, rule, _, _, plan = line.split("\t")
            if plan != "no update":
                pending.setdefault(rule, []).append(output)
        return pending

    @contextlib.contextmanager
    def _graph(self, text: str, settings: DAGSettings | None = None) -> Iterator[Any]:
        path = self.folder / "study.yaml"
        path.write_text(text)
        before = Path.cwd()
        try:
            with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
                workflow = api.workflow(
                    resource_settings=ResourceSettings(cores=1),
                    config_settings=ConfigSettings(configfiles=[path]),
                    snakefile=self.project / "Snakefile",
                    workdir=self.folder,
                )
                yield workflow.dag(settings or DAGSettings())
        finally:
            os.chdir(before)
