"""The corpus in a folder of recordings: which reader reads it, for a new study."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from emoscale.config.corpus import AudformatCorpus, CsvCorpus, ReleaseCorpus
from emoscale.corpus.files import corpus_files
from emoscale.corpus.folder_metadata import (
    Candidate,
    candidates,
    choose_emotion,
    choose_speaker,
    emotion_candidates,
    named_columns,
    speaker_candidates,
    transcript_candidate,
)
from emoscale.corpus.folder_tables import UTTERANCES, Table, read_tables
from emoscale.corpus.metadata_rows import REQUIRED_COLUMNS
from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.recognition import Match, matching_releases
from emoscale.runtime.errors import UserError

Corpus = ReleaseCorpus | CsvCorpus | AudformatCorpus


class FolderCorpus:
    """The corpus in a folder.

    Parameters
    ----------
    folder : Path
        The folder.
    table : Path
        Where to write the table of the utterances of an unknown folder.
    ask : bool
        Whether to ask the user what is in doubt; otherwise the likeliest is taken, where there is
        one.
    """

    def __init__(self, folder: Path, table: Path, ask: bool) -> None:
        self.folder, self.table, self.ask = folder, table, ask
        self.notes: list[str] = []
        """What the settings are based on, and what is not used."""
        self.all_labels_are_emotions = True
        """Whether each label is an emotion, known by name or not; otherwise it may be a word in a
        file name that is none."""

    def settings(self, label: str | None) -> Corpus:
        """Return settings that read the corpus.

        Parameters
        ----------
        label : str or None
            Label of an utterance, where a published corpus has several.

        Returns
        -------
        ReleaseCorpus, CsvCorpus or AudformatCorpus
            Of a complete copy of a published corpus; else of a table utterances.csv, a database in
            audformat, a partial copy, or an unknown folder.

        Raises
        ------
        UserError
            If the speaker or the emotion is not certain, or tables are damaged or contradict each
            other.
        """
        root = str(self.folder.resolve())
        tables, unread = read_tables(self.folder)
        matches = matching_releases(self.folder)
        copy = next((each for each in matches if each.is_copy), None)
        described = next((each for each in tables if each.files == (UTTERANCES,)), None)
        if copy is not None and copy.is_complete:
            self.notes.append(f"recognised as a complete copy of {copy.release.name}")
            if described is not None:
                self.notes.append(
                    f"its table {UTTERANCES} is read with corpus: {{reader: csv, root: …}}"
                )
            return self._release(copy, label)
        columns = named_columns(described.columns) if described else {}
        if {*REQUIRED_COLUMNS} <= {*columns}:
            self.notes.append(f"described by its table {UTTERANCES}")
            columns = {key: name for key, name in columns.items() if key != name}
            return CsvCorpus(reader="csv", root=root, columns=columns)
        if self._is_audformat(self.folder / "db.yaml"):
            self.notes.append("described by db.yaml, in audformat")
            return AudformatCorpus(reader="audformat", root=root)
        if copy is not None and self._is_confirmed(copy):
            self.notes.append(f"recognised as a copy of {copy.release.name}")
            return self._release(copy, label)
        for each in matches:
            click.echo(_difference(each))
        self.notes += unread
        return self._unknown(tables)

    def _is_audformat(self, header: Path) -> bool:
        """Whether a file is the header of a database, which states its usage."""
        if not header.is_file():
            return False
        text = header.read_text(encoding="utf-8", errors="replace")
        if re.search(r"^\s*usage:", text, re.MULTILINE):
            return True
        self.notes.append(f"{header.name} is not read: without usage, it is not in audformat")
        return False

    def _is_confirmed(self, match: Match) -> bool:
        """Ask whether a folder with other counts than a corpus is a copy of it."""
        differences = [row for row in match.manifest.rejected if row.reason == "other counts"]
        if not differences or not self.ask:
            return True
        click.echo(differences[0].detail)
        return click.confirm(f"Is this a copy of {match.release.name}?", None)

    def _release(self, match: Match, label: str | None) -> ReleaseCorpus:
        labels = match.release.labels
        if labels and label is None:
            label = labels[0]
            if self.ask:
                question = f"{match.release.name} has several labels for an utterance; use"
                label = click.prompt(question, type=click.Choice(labels), default=label)
        root = str(Path(match.settings.root).resolve())
        return ReleaseCorpus(reader=match.settings.reader, root=root, label=label)

    def _unknown(self, tables: Sequence[Table]) -> CsvCorpus:
        """Write a table of the recordings of an unknown folder."""
        files = self._recordings()
        listed = candidates(files, tables)
        emotions = emotion_candidates(listed)
        emotion = choose_emotion(emotions, self.ask)
        emotion = self._choice("emotion", emotion, emotions, listed)
        self.all_labels_are_emotions = emotion.column is not None or emotion not in emotions
        speakers = speaker_candidates(listed, emotion)
        speaker = choose_speaker(speakers, self.ask)
        speaker = self._choice("speaker", speaker, speakers, listed, emotion)
        transcript = transcript_candidate(listed)
        if transcript:
            self.notes.append(f"transcript: {transcript.description}")
        chosen = [each for each in (emotion, speaker, transcript) if each]
        unused = [table for table in tables if table not in [each.table for each in chosen]]
        if unused:
            self.notes.append(f"not used: {len(unused):,} tables (first: {unused[0]})")
        self._check_rows(chosen, files)
        texts = transcript.values if transcript else [""] * len(files)
        rows = list(zip(files, speaker.values, emotion.values, texts, strict=True))
        complete = [row for row in rows if all(row[:3])]
        if len(complete) < len(rows):
            self.notes.append(
                f"not used: {len(rows) - len(complete):,} recordings without speaker or emotion "
                f"(first: {next(row[0] for row in rows if not all(row[:3]))})"
            )
        with open(self.table, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["file", "speaker", "emotion", "transcript"], *complete])
        root = str(self.folder.resolve())
        return CsvCorpus(reader="csv", root=root, table=str(self.table.resolve()))

    def _recordings(self) -> list[str]:
        every = list(corpus_files(self.folder, CorpusManifest("csv")))
        files = [name for name in every if name.isprintable() and name == name.strip()]
        unusable = sorted({*every} - {*files})
        if unusable:
            first = unusable[0].encode("utf-8", "surrogateescape")
            self.notes.append(
                f"not used: {len(unusable):,} names (first: "
                f"{first.decode('utf-8', 'backslashreplace')!r}) are not printable UTF-8, or have "
                "spaces at their ends; rename them"
            )
        if not files and any(self.folder.rglob("*.parquet")):
            raise UserError(
                f"{self.folder} holds Parquet files; unpack them first: "
                f".venv/bin/python scripts/unpack_parquet.py {shlex.quote(str(self.folder))}"
            )
        if not files:
            raise UserError(
                f"{self.folder} has no recording; name a folder of WAV, FLAC or other audio"
            )
        known = {name for name in files if "/" in name}
        copies = [name for name in files if name.partition("/")[2] in known]
        if copies:
            self.notes.append(
                f"not used: {len(copies):,} recordings whose path below another folder is the same "
                f"(first: {copies[0]}); rename a folder if they are others"
            )
        return sorted({*files} - {*copies})

    def _choice(
        self,
        what: str,
        certain: Candidate | None,
        likely: Sequence[Candidate],
        listed: Sequence[Candidate],
        *chosen: Candidate,
    ) -> Candidate:
        """Return the certain candidate, or the one that the user names; not one already chosen."""
        if certain is not None:
            others = [each.description for each in likely if each is not certain][:3]
            remark = f" (or {', '.join(others)})" if others else ""
            self.notes.append(f"{what}: {certain}{remark}")
            return certain
        if not self.ask or not listed:
            names = " or ".join(each.description for each in likely[:3])
            choice = f"; it may be {names}: choose without --yes, or" if names else ";"
            raise UserError(
                f"no part of the names and no table certainly gives the {what}{choice} "
                f"{self._advice}"
            )
        options = {each.division: each for each in likely}
        for each in listed:
            if each.division not in [other.division for other in chosen]:
                options.setdefault(each.division, each)
        click.echo(f"\nWhat is the {what}?")
        for number, each in enumerate(options.values(), start=1):
            click.echo(f"  {number}: {each}")
        click.echo("  0: none of these")
        number = click.prompt("number", type=click.IntRange(0, len(options)), default=1)
        if number == 0:
            raise UserError(self._advice)
        answer = list(options.values())[number - 1]
        self.notes.append(f"{what}: {answer}")
        return answer

    @property
    def _advice(self) -> str:
        return (
            f"write {self.folder}/{UTTERANCES} with the columns file, speaker and emotion "
            "(docs/tutorials/own-corpus.md)"
        )

    def _check_rows(self, chosen: Sequence[Candidate], files: Sequence[str]) -> None:
        """Check that rows do not contradict each other; note those that describe no recording."""
        for each in chosen:
            if each.contradictions:
                raise UserError(
                    f"rows of {each.table} give {each.contradictions:,} recordings different "
                    f"values of {each.column}; remove a table, or {self._advice}, and with start "
                    "and end for segments of recordings"
                )
        for table in dict.fromkeys(each.table for each in chosen if each.table):
            unused = len(table.rows) - len(table.rows_of(files))
            if unused:
                self.notes.append(
                    f"not used: {unused:,} rows of {table}, which name no recording, or the same "
                    "as another"
                )


def _difference(match: Match) -> str:
    """Return why a folder is not taken as a copy of a corpus that it has some utterances of."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in match.rejected.items())
    return (
        f"not {match.release.name}: {len(match.manifest.utterances):,} recordings are named as its "
        f"utterances; others: {reasons or 'none'}"
    )
