"""Speaker, emotion and transcript of the recordings of an unknown corpus.

The metadata of most corpora is in the names of folders, in parts of file names, or in a column of a
table. Each of these is a candidate; a candidate of the emotion has values that are words for
emotions, and one of the speaker has values that occur with several emotions each.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emoscale.corpus.files import corpus_files
from emoscale.corpus.readers import CorpusManifest, external_link_target
from emoscale.runtime.errors import UserError
from emoscale.runtime.text_table import parse_table

EMOTION_WORDS = {
    "anger": "ang anger angry mad furious rage wut ärger aerger zorn wütend colère colere "
    "rabbia rab ira enojo enfado raiva злость гнев 生气 愤怒 怒",
    "boredom": "bored boredom bor langeweile ennui noia",
    "calm": "calm ruhig calme calma",
    "contempt": "contempt contemptuous verachtung mépris",
    "disgust": "dis disgust disgusted ekel dégoût degout disgusto asco nojo schifo 厌恶",
    "excitement": "exc excited excitement",
    "fear": "fea fear fearful afraid scared angst furcht peur paura pau miedo medo страх 恐惧",
    "frustration": "fru frustrated frustration",
    "happiness": "hap happy happiness joy joyful freude glücklich joie gioia gio allegria alegría "
    "alegria felicidad радость 快乐 高兴",
    "neutral": "neu neutral neutrality neutre neutrale neutro neutralität нейтрально 中立 中性",
    "sadness": "sad sadness trauer traurig traurigkeit tristesse tristezza tri triste tristeza "
    "грусть 伤心 悲伤",
    "surprise": "sur surprise surprised überraschung ueberraschung sorpresa sor ps удивление 惊喜",
}
"""Words and usual codes of each emotion, in the languages of published corpora."""

_CLASS_OF = {
    unicodedata.normalize("NFC", word): emotion
    for emotion, words in EMOTION_WORDS.items()
    for word in words.split()
}
_SPEAKER_COLUMN = re.compile(
    r"(speaker|spk|actor|subject|participant|user|client|person|sprecher|locuteur|parlante)"
    r"([ _-]?(id|name|no|number))?",
    re.IGNORECASE,
)
_TEXT_COLUMN = re.compile(
    r"(transcript(ion)?|(raw_)?text|sentence|utterance_text|orthography)", re.IGNORECASE
)
_NO_SPEAKER_COLUMN = re.compile(
    rf"{_TEXT_COLUMN.pattern}|sex|gender|age|split|fold|take|intensity|duration|id", re.IGNORECASE
)
_SPEAKER_NAME = re.compile(
    r"(s|sp|spk|speaker|actor|subj|subject|p|m|f|male|female|man|woman)[ _-]?\d+", re.IGNORECASE
)
_NO_SPEAKER_NAME = re.compile(
    r"(train(ing)?|dev(elopment)?|val(id(ation)?)?|eval(uation)?|test|split|fold|part|set|session|"
    r"disc|take|sentence|script)[ _-]?\d*|[fmw]|(fe)?males?|(wo)?m[ae]n|(low|high|weak|strong|"
    r"normal|medium|mild|moderate|intense)([ _-]?intensity)?",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"[\s_.\-()]+")
_LETTERS_AND_DIGITS = re.compile(r"[^\W\d_]+|\d+")
_MIN_SHARE = 0.6  # of the recordings that a candidate has a value for


def emotion_class(label: str) -> str | None:
    """Return the emotion that a label of a corpus means.

    Parameters
    ----------
    label : str
        A word or code in one of the languages of published corpora, in any case.

    Returns
    -------
    str or None
        English name; None: unknown.

    Examples
    --------
    >>> emotion_class("Wut"), emotion_class("exc"), emotion_class("take2")
    ('anger', 'excitement', None)
    """
    return _CLASS_OF.get(unicodedata.normalize("NFC", label).casefold())


@dataclass(frozen=True)
class Table:
    """A table in a folder of recordings."""

    path: str
    """Path relative to the folder; of tables with the same columns, which are one, the first."""

    rows: tuple[dict[str, str], ...]
    """Fields by column."""

    folders: tuple[str, ...]
    """[rows] Folder of the file that each row is in, relative to the folder."""

    is_alone: bool
    """Whether it is one file."""


@dataclass(frozen=True)
class Candidate:
    """A property of the recordings of a folder that may be their speaker or emotion."""

    description: str
    """Such as `folder 1` or `column spk of labels.csv`."""

    values: tuple[str, ...]
    """[recordings] Value of each recording; empty: unknown."""

    column: str | None = None
    """Name of the column, if it is one of a table."""

    table: Table | None = None
    """Its table."""

    @property
    def distinct(self) -> list[str]:
        """The different values, sorted, without the empty one."""
        return sorted({value for value in self.values if value})

    @property
    def coverage(self) -> float:
        """Share of the recordings that have a value."""
        return sum(map(bool, self.values)) / len(self.values)

    @property
    def is_certain_speaker(self) -> bool:
        """Whether its kind says that it is the speaker: a named column, a folder, or spk03."""
        return _rank(self) < 3

    def __str__(self) -> str:
        shown = ", ".join(self.distinct[:6]) + (" …" if len(self.distinct) > 6 else "")
        return f"{self.description} ({len(self.distinct)} values: {shown})"


def read_tables(root: Path) -> tuple[list[Table], list[str]]:
    """Read the tables in a folder and its subfolders.

    Parameters
    ----------
    root : Path
        The folder.

    Returns
    -------
    tables : list of Table
        Files .csv, .tsv and .txt with two columns or more; those with the same columns are one
        table.
    unread : list of str
        Tables that cannot be read, with the reason.

    Raises
    ------
    CorpusError
        If a subfolder cannot be read.
    """
    names = sorted(
        corpus_files(root, CorpusManifest("csv"), (".csv", ".tsv", ".txt")),
        key=lambda name: (name.lower().endswith(".txt"), name.count("/"), name),
    )
    files: dict[tuple[str, ...], list[tuple[str, list[dict[str, str]]]]] = defaultdict(list)
    unread: list[str] = []
    no_tables: list[str] = []
    for name in names:
        try:
            rows = _rows(root, name)
        except UserError as error:
            (no_tables if name.lower().endswith(".txt") else unread).append(str(error))
            continue
        if rows:
            files[tuple(rows[0])].append((name, rows))
    if no_tables:  # most files .txt are none
        unread.append(f"files .txt not read as tables: {len(no_tables):,} (first: {no_tables[0]})")
    return [_joined(tables) for tables in files.values()], unread


def _rows(root: Path, name: str) -> list[dict[str, str]]:
    """Rows of a table; empty if the file is none."""
    path = root / name
    target = external_link_target(path, root)
    if target is not None:
        raise UserError(f"{name} is a link to {target}, outside the folder; copy it")
    try:
        table = parse_table(path.read_text(encoding="utf-8-sig"), Path(name))
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    if len(table.header) < 2:
        return []
    named = [(number, column) for number, column in enumerate(table.header) if column]
    return [
        {column: fields[number] if number < len(fields) else "" for number, column in named}
        for _, fields in table.rows
    ]


def _joined(tables: Sequence[tuple[str, list[dict[str, str]]]]) -> Table:
    """One table of the rows of several files."""
    return Table(
        path=tables[0][0],
        rows=tuple(row for _, rows in tables for row in rows),
        folders=tuple(str(PurePosixPath(name).parent) for name, rows in tables for _ in rows),
        is_alone=len(tables) == 1,
    )


def candidates(files: Sequence[str], tables: Sequence[Table]) -> list[Candidate]:
    """Return the properties of recordings that paths and tables give.

    Parameters
    ----------
    files : sequence of str
        Paths of the recordings, relative to the folder.
    tables : sequence of Table
        Tables of the folder.

    Returns
    -------
    list of Candidate
        Columns of tables, folders of the path, and parts of the file names between separators and
        between letters and digits; only those that most recordings have, with two values or more.
    """
    paths = [PurePosixPath(unicodedata.normalize("NFC", name)) for name in files]
    index = _files_by_end(files)
    listed = [each for table in tables for each in _table_candidates(table, files, index)]
    folders = [path.parts[:-1] for path in paths]
    for level in range(max(map(len, folders))):
        values = tuple(parts[level] if level < len(parts) else "" for parts in folders)
        listed.append(Candidate(f"folder {level + 1}", values))
    for kind, split in (("part", _SEPARATORS.split), ("run of letters or digits", _runs)):
        parts = [[part for part in split(path.stem) if part] for path in paths]
        if kind != "part" and all(_SEPARATORS.search(path.stem) for path in paths):
            continue  # the parts between separators say more
        for number in range(max(map(len, parts))):
            values = tuple(row[number] if number < len(row) else "" for row in parts)
            listed.append(Candidate(f"{kind} {number + 1} of the file name", values))
        if len({len(row) for row in parts}) > 1:
            last = tuple(row[-1] if row else "" for row in parts)
            listed.append(Candidate(f"last {kind} of the file name", last))
    likeliest: dict[tuple[str, ...], Candidate] = {}
    for each in sorted(listed, key=_rank):  # a part and a run of letters may be the same
        if each.column is None:
            likeliest.setdefault(each.values, each)
    return [
        each
        for each in listed
        if len(each.distinct) > 1
        and each.coverage >= _MIN_SHARE
        and (each.column or each is likeliest[each.values])
    ]


def _runs(stem: str) -> list[str]:
    return _LETTERS_AND_DIGITS.findall(stem)


def _table_candidates(
    table: Table, files: Sequence[str], index: Mapping[str, Sequence[str]]
) -> list[Candidate]:
    by_file = _rows_by_file(table, index)
    others = "" if table.is_alone else " and tables like it"
    return [
        Candidate(
            f"column {column} of {table.path}{others}",
            tuple((by_file.get(file) or {}).get(column, "") for file in files),
            column,
            table,
        )
        for column in table.rows[0]
    ]


def _files_by_end(files: Sequence[str]) -> dict[str, list[str]]:
    """Files by each end of their path (a/b/c.wav, b/c.wav, c.wav), with and without suffix."""
    index: dict[str, list[str]] = defaultdict(list)
    for file in files:
        for end in _ends(PurePosixPath(file)):
            index[end].append(file)
    return index


def _ends(path: PurePosixPath) -> Iterator[str]:
    parts = [part for part in path.parts if part not in ("/", "..")]
    for number in range(len(parts)):
        end = PurePosixPath(unicodedata.normalize("NFC", "/".join(parts[number:])))
        yield str(end)
        if end.suffix[1:].isalnum() and not end.suffix[1:].isdigit():
            yield str(end.with_suffix(""))


def _rows_by_file(table: Table, index: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Row of each file, by the column whose values name most of the files."""
    best: dict[str, dict[str, str]] = {}
    for column in table.rows[0]:
        row_of: dict[str, dict[str, str]] = {}
        for row, folder in zip(table.rows, table.folders, strict=True):
            file = _named_file(row[column], folder, index)
            if file is not None:
                row_of.setdefault(file, row)
        best = max(best, row_of, key=len)
    return best


def _named_file(value: str, folder: str, index: Mapping[str, Sequence[str]]) -> str | None:
    """Return the file that a field names, by the longest end of its path that is one file's."""
    if not value:
        return None
    path = PurePosixPath(folder, value.replace("\\", "/"))
    for end in _ends(path):
        files = index.get(end, ())
        if len(files) == 1 or end in files:
            return end if end in files else files[0]
    return None


def emotion_candidates(listed: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that name an emotion of most recordings, the likeliest first.

    Parameters
    ----------
    listed : sequence of Candidate
        Candidates of a folder.

    Returns
    -------
    list of Candidate
        Those with words for at least two emotions.
    """

    def share(candidate: Candidate) -> float:
        stated = [value for value in candidate.values if value]
        return sum(emotion_class(value) is not None for value in stated) / len(stated)

    likely = [
        each
        for each in listed
        if share(each) >= _MIN_SHARE and len({*map(emotion_class, each.distinct)} - {None}) > 1
    ]
    return sorted(likely, key=lambda each: -share(each))


def speaker_candidates(listed: Sequence[Candidate], emotion: Candidate) -> list[Candidate]:
    """Return the candidates that may be the speaker, the likeliest first.

    Parameters
    ----------
    listed : sequence of Candidate
        Candidates of a folder.
    emotion : Candidate
        The emotion of each recording.

    Returns
    -------
    list of Candidate
        Those whose values occur with two emotions or more each, and are not all words such as train
        and test, male and female, weak and strong: columns named as a speaker's, then
        folders, then parts of file names such as spk03, then others; numbers last.
    """
    likely = [
        each for each in listed if each.values != emotion.values and _may_be_speaker(each, emotion)
    ]
    return sorted(likely, key=_rank)


def _may_be_speaker(candidate: Candidate, emotion: Candidate) -> bool:
    if candidate.column is not None and _NO_SPEAKER_COLUMN.fullmatch(candidate.column):
        return False
    if all(_NO_SPEAKER_NAME.fullmatch(value) for value in candidate.distinct):
        return False
    emotions_of: dict[str, set[str]] = defaultdict(set)
    for value, label in zip(candidate.values, emotion.values, strict=True):
        if value and label:
            emotions_of[value].add(label)
    return sum(len(labels) > 1 for labels in emotions_of.values()) > 0.8 * len(emotions_of)


def _rank(candidate: Candidate) -> int:
    """How likely the kind of a candidate is a speaker: 0 is likeliest."""
    if candidate.column is not None:
        return 0 if _SPEAKER_COLUMN.fullmatch(candidate.column) else 3
    if candidate.description.startswith("folder"):
        return 1
    if all(_SPEAKER_NAME.fullmatch(value) for value in candidate.distinct):
        return 2
    return 5 if all(value.isdigit() for value in candidate.distinct) else 4


def transcript_candidate(listed: Sequence[Candidate]) -> Candidate | None:
    """Return the column of a table that is named as a transcript, if there is one.

    Parameters
    ----------
    listed : sequence of Candidate
        Candidates of a folder.

    Returns
    -------
    Candidate or None
        The column.
    """
    return next(
        (each for each in listed if each.column and _TEXT_COLUMN.fullmatch(each.column)), None
    )
