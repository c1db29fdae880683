"""A study's whole results folder against the digests that its files carry of one another."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa

from emoscale.audio.utterances import read_sources
from emoscale.config.representations import modality_of
from emoscale.evaluation.runs import provenance_of
from emoscale.reporting.verification.finding import Verification, way_to_make
from emoscale.reporting.verification.known_files import (
    TABLES,
    files_of,
    is_half_written,
    is_made_by_a_study,
    is_set_aside,
)
from emoscale.representations.weights.origin import read_stamp
from emoscale.runtime.errors import DamagedFileError, StoreError, UserError
from emoscale.runtime.provenance import digest, file_sha256
from emoscale.store.index import FeatureStore
from emoscale.store.shard import read_header, shard_digest, verify_shard
from emoscale.tables.digests import CONTENT
from emoscale.tables.origin import MADE_FROM, source_sha256
from emoscale.tables.schemas import UTTERANCES, read_arrow, read_metadata, read_table, write_csv
from emoscale.training.run_record import (
    HISTORY,
    PREDICTIONS,
    WEIGHTS,
    RunRecord,
    check_file_of_run,
    read_run_record,
)
from emoscale.training.saved_run import read_run

Result = TypeVar("Result")

_EVERYWHERE = {"corpus/utterances.parquet", "protocol/checks.json", "report.html", "audit.html"}


def verify_study(folder: Path, quick: bool = False) -> Verification:
    """Check every file of a study's results; `quick` reads no shard of features.

    Each file is compared with its own digests, with those that other files carry of it, and with
    what it must agree with. Nothing is changed. Raises `StoreError` where there is no such folder;
    whatever else is found is in the result.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder} is no folder: name a study's results, such as results/demo")
    return _Checking(folder, quick).done()


class _Checking:
    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder, self.quick = folder, quick
        self.found = Verification()
        everything, _ = files_of(folder, frozenset())
        corpus = self._corpus_within(everything)
        self.files, self.odd = files_of(folder, corpus)
        self.digests: dict[str, str | None] = {}

    def done(self) -> Verification:
        self._names()
        for name in self._matching("corpus/"):
            if name.endswith(".parquet"):
                self._table(name, "corpus")
        for name in self._matching("checkpoints/"):
            if name.endswith(".json") and name.count("/") == 1:
                self._try(name, "weights", lambda path: read_stamp(path))
        for name in self._matching("protocol/"):
            if name.endswith(".parquet"):
                self._table(name, "protocol")
        for kind in ("features/", "perturbed/"):
            for name in self._matching(kind):
                if name.endswith("/index.parquet"):
                    self._index(name)
        listed = self._runs_of_table()
        for name in self._matching("runs/"):
            if name.endswith("/run.json"):
                self._run(name, listed.pop(name, None))
        for name in listed:
            self._missing(name, "tables/runs.parquet")
        for name in self._matching("robustness/"):
            self._table(name, "robustness")
        for name in self._matching("tables/"):
            if name.endswith(".parquet"):
                self._table(name, "tables")
        self.found.findings.sort(key=lambda finding: (not finding.is_wrong, str(finding.path)))
        return self.found

    # Names.

    def _corpus_within(self, files: set[str]) -> frozenset[str]:
        """Folders at the top that are a generated corpus: its first recordings lie there."""
        table = "corpus/utterances.parquet"
        if table not in files:
            return frozenset()
        try:
            heard = read_table(self.folder / table, UTTERANCES)["audio"].head(1).to_list()
        except StoreError:
            return frozenset()  # it is found where tables are read
        tops = {name.split("/", 1)[0] for name in files if "/" in name}
        return frozenset(top for top in tops for audio in heard if f"{top}/{audio}" in files)

    def _names(self) -> None:
        for name in sorted(self.odd):
            self.found.add(
                "foreign",
                self.folder / name,
                f"{self.folder / name} is no file of this folder, or a link out of it; remove it",
            )
        for name in sorted(self.files):
            path = self.folder / name
            if is_set_aside(name):
                self.found.add(
                    "left over",
                    path,
                    f"{path} was moved aside; remove it when nobody wants to look at it",
                )
            elif is_half_written(name) and not is_made_by_a_study(name):
                self.found.add(
                    "left over", path, f"{path} was left by a step that was ended; remove it"
                )
            elif not is_made_by_a_study(name):
                self.found.add(
                    "foreign",
                    path,
                    f"{path} is no file that a study makes; move it out of the folder",
                )
        tables = {f"tables/{name}.parquet" for name in TABLES}
        for name in sorted((tables | _EVERYWHERE) - self.files):
            self._missing(name, "a finished study")

    def _matching(self, start: str) -> list[str]:
        return sorted(n for n in self.files if n.startswith(start) and is_made_by_a_study(n))

    def _missing(self, name: str, who: str) -> None:
        path = self.folder / name
        self.found.add("missing", path, f"{path} is missing, which {who} has; {way_to_make(path)}")

    # One file.

    def _try(
        self,
        name: str,
        part: str,
        read: Callable[[Path], Result],
        standing_for: Iterable[str] = (),
    ) -> Result | None:
        """What `read` gives of a file; None, and a finding, where it cannot be read."""
        path = self.folder / name
        self.found.count(part)
        try:
            return read(path)
        except DamagedFileError as error:
            others = [*error.standing_for, *(self.folder / other for other in standing_for)]
            damage = DamagedFileError(error.path, error.detail, error.check, others)
            sentence = f"{error.path}: {error.detail}; move it aside with --set-aside, and "
            self.found.add("damaged", error.path, sentence + way_to_make(error.path), damage)
        except UserError as error:
            self.found.add("damaged", path, str(error))
        except (OSError, ValueError, TypeError, KeyError, RecursionError, pa.ArrowException) as e:
            self.found.add(
                "damaged",
                path,
                f"{path} is not what this version writes ({e}); remove it, and "
                + way_to_make(path),
            )
        return None

    def _unlike(self, name: str, what: str) -> None:
        path = self.folder / name
        self.found.add(
            "not fitting",
            path,
            f"{path} {what}; run the study again, or remove the file and {way_to_make(path)}",
        )

    def _digest(self, name: str) -> str | None:
        """What others may carry as a file's digest; None where it is missing or damaged."""
        if name not in self.digests:
            try:
                there = name in self.files
                self.digests[name] = source_sha256(self.folder / name) if there else None
            except (UserError, OSError):
                self.digests[name] = None
        return self.digests[name]

    # Tables.

    def _table(self, name: str, part: str) -> None:
        arrow = self._try(name, part, read_arrow)
        if arrow is None:
            return
        if CONTENT.encode() not in (arrow.schema.metadata or {}):
            self._unlike(name, "has no digest of its content: another version or program wrote it")
            return
        self._try(name, part + ": what tables were made from", lambda _: self._sources(name))
        csv = name.removesuffix("parquet") + "csv"
        if csv in self.files:
            self._try(csv, part, lambda path: self._csv(csv, arrow))

    def _csv(self, name: str, arrow: pa.Table) -> None:
        frame = pl.from_arrow(arrow)
        assert isinstance(frame, pl.DataFrame)
        with tempfile.TemporaryDirectory() as folder:
            write_csv(frame, Path(folder, "table.csv"))
            same = Path(folder, "table.csv").read_bytes() == (self.folder / name).read_bytes()
        if not same:
            self._unlike(name, "does not say what the Parquet table beside it says")

    def _sources(self, name: str) -> None:
        """Compare a table's sources with the digests that it carries of them."""
        made_from = _mapping(read_metadata(self.folder / name).get(MADE_FROM, "{}"))
        for place, stated in made_from.items():
            source = os.path.normpath(Path(name).parent / place)
            if not is_made_by_a_study(source):
                self._unlike(name, f"says that it was made from {place}, which no study makes")
            elif source not in self.files:
                if not source.startswith("perturbed/"):  # may be removed when they were heard
                    self._missing(source, name)
            elif self._digest(source) != stated:
                self._unlike(name, f"was made from another {source} than is there now")

    # Features.

    def _index(self, name: str) -> None:
        store = self._try(name, "indices of features", FeatureStore)
        if store is None:
            return
        folder = Path(name).parent.as_posix()
        metadata = read_metadata(self.folder / name)
        shards = self._try(name, "indices of features", lambda _: _mapping(metadata["shards"]))
        if shards is None:
            return
        if digest(shards) != store.sha256:
            self._unlike(name, "carries a digest of other shards than it names")
        for shard, stated in sorted(shards.items()):
            own = f"{folder}/{shard}"
            if not is_made_by_a_study(own) or not own.endswith(".h5"):
                self._unlike(name, f"names {shard}, which is no name of a shard")
            elif own not in self.files:
                self._missing(own, name)
            elif not self.quick:

                def check(_: Path, own: str = own, stated: str = stated) -> None:
                    self._shard(own, stated)

                self._try(own, "shards of features", check, [name])
        named = {f"{folder}/{shard}" for shard in shards}
        for own in self._matching(folder + "/"):
            if own.endswith(".h5") and own not in named:
                self._unlike(own, f"is no shard that {name} names")

    def _shard(self, name: str, stated: str) -> None:
        path = self.folder / name

        def check() -> None:
            verify_shard(path)
            if shard_digest(path) != stated:
                raise DamagedFileError(path, "is not the shard that was indexed", check)

        check()
        header = read_header(path)
        kind = json.loads(header.representation)["kind"]
        place = "shards" if name.startswith("features/") else "tested"
        number = Path(name).stem
        rows, texts = f"corpus/{place}/{number}.parquet", None
        if place == "shards" and modality_of(kind) != "audio":
            texts = f"corpus/texts/{number}.parquet"
        if {rows, *filter(None, [texts])} <= self.files:
            read = read_sources(self.folder / rows, self.folder / texts if texts else None)
            if digest(read.to_dicts()) != header.shard_sha256:
                self._unlike(name, f"was made from other rows than {rows} has")

    # Trainings.

    def _runs_of_table(self) -> dict[str, dict[str, Any]]:
        """The table's first row of each training, by the path of its `run.json`."""
        name = "tables/runs.parquet"
        if name not in self.files:
            return {}
        try:
            frame = pl.from_arrow(read_arrow(self.folder / name))
            assert isinstance(frame, pl.DataFrame)
            rows = frame.unique(["experiment", "fold", "size"], maintain_order=True).to_dicts()
        except (UserError, pl.exceptions.PolarsError):
            return {}  # it is found where tables are read
        listed = {f"runs/{r['experiment']}/{r['fold']}/{r['size']}/run.json": r for r in rows}
        return {name: row for name, row in listed.items() if is_made_by_a_study(name)}

    def _run(self, name: str, row: Mapping[str, Any] | None) -> None:
        record = self._try(name, "trainings", read_run_record)
        if record is None:
            return
        folder = Path(name).parent
        if (record.experiment, record.fold, record.size) != folder.parts[1:]:
            self._unlike(name, "is of another training than its folder says")
        whole = True
        for file in (PREDICTIONS, HISTORY, WEIGHTS):
            own = f"{folder.as_posix()}/{file}"
            if own not in self.files:
                self._missing(own, name)
                whole = False
                continue

            def check(path: Path) -> bool:
                check_file_of_run(path, record)
                return True

            whole = bool(self._try(own, "files of trainings", check)) and whole
        if whole:
            self._try(name, "weights against settings", lambda path: read_run(path.parent))
        if digest(record.settings_text) != record.settings_sha256:
            self._unlike(name, "has other settings than their digest says")
        if row is None:
            self.found.add(
                "left over",
                self.folder / name,
                f"{self.folder / name} is of a training that the tables do not show",
            )
            return  # what it was made from may have changed since
        self._inputs(name, record)
        for column, stated in {"device": record.device, **provenance_of(record)}.items():
            if row.get(column) != stated:
                self._unlike("tables/runs.parquet", f"has another {column} than {name}")

    def _inputs(self, name: str, record: RunRecord) -> None:
        fold = f"protocol/{record.fold}.parquet"
        if fold not in self.files:
            self._missing(fold, name)
        elif file_sha256(self.folder / fold) != record.protocol_sha256:
            self._unlike(name, f"was trained on another {fold} than is there now")
        for read in record.inputs:
            index = f"features/{read.name}/index.parquet"
            if index not in self.files or not is_made_by_a_study(index):
                self._missing(index, name)
                continue
            try:
                now = read_metadata(self.folder / index)
            except UserError:
                continue  # it is found where indices are read
            keys = ("features_sha256", "corpus_sha256", "checkpoint_sha256")
            if any(now.get(key) != getattr(read, key) for key in keys):
                self._unlike(name, f"was trained on other features than {index} has now")


def _mapping(text: str) -> dict[str, str]:
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise ValueError("its metadata is not a list of digests")
    return found
