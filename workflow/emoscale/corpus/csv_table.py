"""Reader for any folder of recordings with a metadata table, and votes of raters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from emoscale.config.corpus import CsvCorpus
from emoscale.corpus.metadata_rows import (
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    check_column_names,
    check_manifest,
    utterance_of,
)
from emoscale.corpus.readers import CorpusManifest, external_link_target
from emoscale.corpus.release import Unusable, anonymous_votes, vote_count
from emoscale.runtime.errors import CorpusError
from emoscale.runtime.text_table import read_table

VOTE_COLUMNS = ("utterance", "rater", "label")
"""Columns of the table of votes."""


def read(settings: CsvCorpus) -> CorpusManifest:
    """Read the metadata table and the votes.

    Parameters
    ----------
    settings : CsvCorpus
        Root, tables and column names.

    Returns
    -------
    CorpusManifest
        One utterance per valid row; the other rows, and votes for unknown utterances or labels, are
        rejected.

    Raises
    ------
    CorpusError
        If a table or a required column is missing, no row is valid, or no vote is for an utterance.
    """
    manifest = CorpusManifest("csv")
    table = _Table(settings, "table", REQUIRED_COLUMNS)
    _read_utterances(table, settings, manifest)
    check_manifest(manifest, str(table.path))
    if settings.votes is not None:
        _read_votes(_Table(settings, "votes", VOTE_COLUMNS), settings.emotions, manifest)
    return manifest


class _Table:
    """A table of the corpus, whose path is a key of the settings.

    Parameters
    ----------
    settings : CsvCorpus
        The corpus.
    key : str
        The key, for error messages.
    expected : sequence of str
        Columns of such a table, for error messages.

    Raises
    ------
    CorpusError
        If it cannot be read.
    """

    def __init__(self, settings: CsvCorpus, key: str, expected: Sequence[str]) -> None:
        root, self.name = Path(settings.root), str(getattr(settings, key))
        self.path = root / self.name
        key = f"corpus.{key}"
        target = external_link_target(self.path, root)
        if target is not None:
            raise CorpusError(
                f"{self.path} is a link to {target}, outside the corpus; if that is intended, set "
                f"{key} to it"
            )
        columns = ", ".join(expected)
        remedy = f"set corpus.root and {key} to a table with the columns {columns}"
        table = read_table(self.path, remedy)
        self.header = table.header
        self.rows = [(f"line {line}", cells) for line, cells in table.rows]

    def positions(
        self,
        required: Sequence[str],
        optional: Sequence[str] = (),
        names: Mapping[str, str] | None = None,
        remedy: str = "name it under corpus.columns",
    ) -> dict[str, int]:
        """Positions of columns, by their names in this library; `names`: those in the table."""
        names = names or {}
        positions: dict[str, int] = {}
        for name in (*required, *optional):
            name_in_table = names.get(name, name)
            if self.header.count(name_in_table) > 1:
                raise CorpusError(f"{self.path} has two columns {name_in_table}; rename one")
            if name_in_table in self.header:
                positions[name] = self.header.index(name_in_table)
            elif name in required or name in names:
                raise CorpusError(
                    f"{self.path} has no column {name_in_table} (actual columns: "
                    f"{', '.join(self.header) or 'none'}); {remedy}"
                )
        return positions

    def fields(self, cells: Sequence[str], positions: Mapping[str, int]) -> dict[str, str]:
        """Text of these columns in a row."""
        return {
            name: cells[position] if position < len(cells) else ""
            for name, position in positions.items()
        }


def _read_utterances(table: _Table, settings: CsvCorpus, manifest: CorpusManifest) -> None:
    check_column_names(settings.columns, REQUIRED_COLUMNS + OPTIONAL_COLUMNS)
    columns = table.positions(REQUIRED_COLUMNS, OPTIONAL_COLUMNS, settings.columns)
    vote_columns = table.positions(
        list(settings.vote_columns), (), settings.vote_columns, "correct corpus.vote_columns"
    )
    for location, cells in table.rows:
        row = table.fields(cells, columns)
        try:
            if any(cells[len(table.header) :]):
                raise Unusable(
                    "too many fields",
                    f"the row has {len(cells)} fields and the header {len(table.header)}; "
                    "put quotes around a field that contains a comma",
                )
            counts = table.fields(cells, vote_columns)
            votes = anonymous_votes({label: vote_count(label, counts[label]) for label in counts})
            utterance = replace(utterance_of(row, settings.emotions), votes=votes)
            manifest.add(utterance, table.name, location)
        except Unusable as error:
            manifest.reject(
                table.name,
                error.reason,
                str(error),
                utterance=row.get("utterance") or row["file"] or None,
                location=location,
            )


def _read_votes(table: _Table, emotions: Sequence[str] | None, manifest: CorpusManifest) -> None:
    """Add votes to the utterances; votes that cannot be used are rejected."""
    columns = table.positions(VOTE_COLUMNS, remedy="rename a column of the table")
    votes_of: dict[str, list[dict[str, str]]] = {each.utterance: [] for each in manifest.utterances}
    unknown: Counter[str] = Counter()
    before = len(manifest.rejected)
    for location, cells in table.rows:
        row = table.fields(cells, columns)
        key, vote = row["utterance"], {"rater": row["rater"], "label": row["label"]}
        empty = [name for name in VOTE_COLUMNS if not row[name]]
        if empty:
            problem = ("empty field", f"the vote has no {empty[0]}")
        elif key not in votes_of:
            unknown[key] += 1
            continue
        elif emotions is not None and row["label"] not in emotions:
            problem = (
                "unknown label",
                f"the vote is for {row['label']}, which is not one of {', '.join(emotions)}",
            )
        elif vote in votes_of[key]:
            problem = ("duplicate vote", f"{row['rater']} votes twice for {row['label']}")
        else:
            votes_of[key].append(vote)
            continue
        manifest.reject(table.name, *problem, utterance=key or None, location=location)
    for key, count in unknown.items():
        manifest.reject(
            table.name,
            "unknown utterance",
            f"{count} vote{'s' * (count > 1)} for {key}, which is not a usable utterance of the "
            f"corpus (such as {manifest.utterances[0].utterance})",
            utterance=key,
        )
    if not any(votes_of.values()):
        problems = [each.detail for each in manifest.rejected[before:]] or ["the table has no rows"]
        raise CorpusError(f"{table.path}: no vote can be used: {problems[0]}")
    manifest.utterances = [
        replace(each, votes=votes_of[each.utterance] or None) for each in manifest.utterances
    ]
