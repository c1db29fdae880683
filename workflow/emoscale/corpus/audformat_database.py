"""Reader for databases in audEERING's audformat, with the package of that name.

The format is described at https://audeering.github.io/audformat.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from emoscale.config.corpus import AudformatCorpus
from emoscale.corpus.metadata_rows import (
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    check_column_names,
    check_manifest,
    utterance_of,
)
from emoscale.corpus.readers import CorpusManifest, external_link_target
from emoscale.corpus.release import Unusable
from emoscale.runtime.errors import CorpusError, error_summary

_HEADER = "db.yaml"
_COLUMNS = [
    name
    for name in REQUIRED_COLUMNS + OPTIONAL_COLUMNS
    if name not in ("file", "start", "end", "split")  # these are in indices and splits
]
# Not style: schemes of that name may have other values than improvised and scripted.
_NAMES = {name: name for name in _COLUMNS if name != "style"} | {
    "sex": "gender",
    "transcript": "transcription",
}

Segment = tuple[str, str, str]
"""File, and start and end in seconds as text; empty: the file's."""


def read(settings: AudformatCorpus) -> CorpusManifest:
    """Read the tables of a database.

    Columns are searched as `audformat.Database.get` does: the name of a scheme, of a column of a
    table, or of a property in the labels of a scheme, such as the gender of each speaker.

    Parameters
    ----------
    settings : AudformatCorpus
        Root, tables and names of the columns.

    Returns
    -------
    CorpusManifest
        One utterance per file or segment in the tables with the emotion; those that lack the
        emotion or the speaker are rejected.

    Raises
    ------
    CorpusError
        If the package is not installed, the database or one of the tables or columns that the
        settings name is missing or damaged, tables contradict each other, or no utterance is
        usable.
    """
    check_column_names(settings.columns, _COLUMNS)
    database = _Database(settings)
    manifest = CorpusManifest("audformat")
    splits, votes = database.splits(), database.votes()
    for segment, row in database.rows():
        file, start, end = segment
        row |= {"file": file, "start": start, "end": end, "split": splits.get(segment, "")}
        try:
            utterance = replace(utterance_of(row), votes=votes.pop(segment, None))
            manifest.add(utterance, _HEADER)
        except Unusable as error:
            manifest.reject(_HEADER, error.reason, str(error), utterance=file)
    for (file, start, end), unused in votes.items():
        manifest.reject(
            _HEADER,
            "unknown utterance",
            f"the table {settings.votes} has {len(unused)} votes for "
            f"{' '.join(filter(None, (file, start, end)))}, which is not a usable utterance",
            utterance=file,
        )
    check_manifest(manifest, str(database.header))
    return manifest


class _Database:
    """The database, as text by file and segment."""

    def __init__(self, settings: AudformatCorpus) -> None:
        self.settings, self.header = settings, Path(settings.root) / _HEADER
        self.audformat = _import_audformat()
        self.names = {**_NAMES, **settings.columns}
        self._check_files()
        with self._explained("copy it again"):
            # audformat's loader creates any object that a header names; such a header fails here
            yaml.load(self.header.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
            self.database = self.audformat.Database.load(settings.root)
        tables = list(self.database.tables)
        for key, names in (("tables", settings.tables or []), ("votes", [settings.votes])):
            for name in names:
                if name is not None and name not in tables:
                    raise CorpusError(
                        f"{self.header} has no table {name} (actual tables: {', '.join(tables)}); "
                        f"correct corpus.{key}"
                    )
        self.tables = settings.tables or [name for name in tables if name != settings.votes]

    def _check_files(self) -> None:
        """Check that there is a header, that no table is a pickle, and that no file is a link."""
        if not self.header.is_file():
            raise CorpusError(
                f"{self.header} does not exist: expected a database in audformat; set corpus.root "
                "to the folder that has it"
            )
        for path in sorted(self.header.parent.glob("db.*")):
            if path.suffix == ".pkl":
                raise CorpusError(
                    f"{path} is a pickle, which may execute code when it is loaded; remove it if "
                    "the same table is there as .parquet or .csv (audb.load_to writes no pickles "
                    "with pickle_tables=False)"
                )
            target = external_link_target(path, self.header.parent)
            if target is not None:
                raise CorpusError(f"{path} is a link to {target}, outside the corpus; copy it")

    @contextlib.contextmanager
    def _explained(self, remedy: str) -> Iterator[None]:
        """Convert the errors that audformat raises for damaged or contradictory databases."""
        try:
            yield
        except (yaml.YAMLError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CorpusError(f"{self.header}: {error_summary(error)}; {remedy}") from None

    def _frame(self, additional: list[str], **options: Any) -> Any:
        with self._explained("if tables contradict each other, list those to use in corpus.tables"):
            return self.database.get(self.names["emotion"], additional, **options)

    def _segments(self, index: Any) -> list[Segment]:
        segments = []
        for file, start, end in self.audformat.utils.to_segmented_index(index):
            until = str(end.total_seconds()) if end == end else ""  # NaT is not equal to itself
            since = str(start.total_seconds()) if until or start.total_seconds() else ""
            segments.append((file, since, until))
        return segments

    def rows(self) -> list[tuple[Segment, dict[str, str]]]:
        """Text of each column of the utterances."""
        others = dict.fromkeys(self.names[name] for name in self.names if name != "emotion")
        others.pop(self.names["emotion"], None)
        frame = self._frame(list(others), tables=self.tables)
        for name in dict.fromkeys(("emotion", "speaker", *self.settings.columns)):
            if frame[self.names[name]].isna().all():
                raise CorpusError(
                    f"{self.header}: no utterance has a value of {self.names[name]} (schemes: "
                    f"{', '.join(self.database.schemes)}); name that of the {name} under "
                    "corpus.columns"
                )
        return [
            (segment, self._row(dict(zip(frame.columns, values, strict=True))))
            for segment, values in zip(self._segments(frame.index), _texts(frame), strict=True)
        ]

    def _row(self, texts: dict[str, str]) -> dict[str, str]:
        row = {name: texts[source] for name, source in self.names.items()}
        if row["sex"] == self.audformat.define.Gender.OTHER:
            row["sex"] = ""
        languages = self.database.languages
        language = row["language"] or (languages[0] if len(languages) == 1 else "")
        return row | {"language": _two_letters(language)}

    def splits(self) -> dict[Segment, str]:
        """Official split of the utterances."""
        splits: dict[Segment, str] = {}
        for split in self.database.splits:
            frame = self._frame([], tables=self.tables, splits=[split])
            kind = self.database.splits[split].type
            if kind in ("train", "dev"):
                name = kind
            else:  # there may be several test splits
                name = split if kind != "test" or split.startswith("test") else f"test-{split}"
            for segment in self._segments(frame.index):
                if splits.setdefault(segment, name) != name:
                    raise CorpusError(
                        f"{self.header}: {segment[0]} is in the splits {splits[segment]} and "
                        f"{name}; list the tables of one division in corpus.tables"
                    )
        return splits

    def votes(self) -> dict[Segment, list[dict[str, str]]]:
        """Votes for the utterances, by the columns of the table of votes."""
        if self.settings.votes is None:
            return {}
        frame = self._frame([], tables=[self.settings.votes], original_column_names=True)
        columns = self.database[self.settings.votes].columns
        raters = [columns[name].rater_id or name for name in frame.columns]
        return {
            segment: [
                {"rater": rater, "label": label}
                for rater, label in zip(raters, labels, strict=True)
                if label
            ]
            for segment, labels in zip(self._segments(frame.index), _texts(frame), strict=True)
            if any(labels)
        }


def _texts(frame: Any) -> list[tuple[str, ...]]:
    """Rows of a data frame as text; missing values are empty."""
    values = frame.astype(object).where(frame.notna(), "")
    return [tuple(map(str, row)) for row in values.itertuples(index=False, name=None)]


def _two_letters(language: str) -> str:
    """Two letters of a language where there are: audformat has three."""
    import iso639

    return (iso639.is_language(language) and iso639.Lang(language).pt1) or language


def _import_audformat() -> ModuleType:
    try:
        import audformat
    except ImportError:
        raise CorpusError(
            "corpus.reader audformat requires the package audformat; install it with: "
            "pip install -c envs/constraints.txt -e '.[audformat]'"
        ) from None
    module: ModuleType = audformat
    return module
