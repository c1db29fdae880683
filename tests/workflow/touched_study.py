"""A study that Snakemake considers finished although nothing was computed, to test what reruns."""

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

from emoscale.config import parse_study
from emoscale.representations.weights.local_checkpoint import (
    LocalCheckpoint,
    write_checkpoint_record,
)
from tests.conftest import PROJECT

WEIGHTS_SHA256 = "0" * 64
"""Digest of every checkpoint, as its record states it."""

Pending = dict[str, list[str]]
"""Outputs that a run would write, by rule."""


@dataclass
class TouchedStudy:
    """A study whose results are empty files with Snakemake's records of parameters and code.

    Only the records of checkpoints have content.
    """

    folder: Path
    config: dict[str, Any]
    project: Path = PROJECT

    def finish(self) -> None:
        """Touch every output with Snakemake, which records parameters, inputs and code."""
        for output in [path for paths in self.pending().values() for path in paths]:
            path = self.folder / output
            if not path.suffix:  # generated audio, or a pre-trained model
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            if path.parent.name == "checkpoints":
                settings = parse_study(self.config).checkpoints[path.stem]
                checkpoint = LocalCheckpoint(path.stem, path, WEIGHTS_SHA256, "")
                write_checkpoint_record(path, checkpoint, settings)
        with self._graph(yaml.safe_dump(self.config), DAGSettings(forceall=True)) as graph:
            graph.execute_workflow(executor="touch", scheduling_settings=SchedulingSettings())

    def pending(self, config: dict[str, Any] | None = None) -> Pending:
        """Return the outputs that a run with this configuration would write."""
        return self.pending_of(yaml.safe_dump(config or self.config))

    def pending_of(self, text: str) -> Pending:
        """Return the outputs that a run with this text as configuration file would write."""
        output_text = io.StringIO()
        with self._graph(text) as graph, contextlib.redirect_stdout(output_text):
            graph.summary()
        pending: Pending = {}
        for line in output_text.getvalue().splitlines()[1:]:
            output, _, rule, _, _, plan = line.split("\t")
            if plan != "no update":
                pending.setdefault(rule, []).append(output)
        return pending

    def plan(self) -> None:
        """Run Snakemake without executing anything: it logs each job with its resources."""
        with self._graph(yaml.safe_dump(self.config), cores=8) as graph:
            graph.execute_workflow(executor="dryrun", scheduling_settings=SchedulingSettings())

    @contextlib.contextmanager
    def _graph(
        self, text: str, settings: DAGSettings | None = None, cores: int = 1
    ) -> Iterator[Any]:
        path = self.folder / "study.yaml"
        path.write_text(text)
        working_folder = Path.cwd()
        try:
            with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
                workflow = api.workflow(
                    resource_settings=ResourceSettings(cores=cores),
                    config_settings=ConfigSettings(configfiles=[path]),
                    snakefile=self.project / "Snakefile",
                    workdir=self.folder,
                )
                yield workflow.dag(settings or DAGSettings())
        finally:
            os.chdir(working_folder)
