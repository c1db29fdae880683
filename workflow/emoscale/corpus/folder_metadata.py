"""Speaker, emotion and transcript of the recordings of an unknown corpus.

The metadata of most corpora is in the names of folders, in parts of file names, or in a column of a
table. Each of these is a candidate; a candidate of the emotion has values that are words for
emotions, and one of the speaker has values that occur with several emotions each.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from emoscale.corpus.folder_tables import FILE_COLUMN, Table

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
    "alegria felicidad felicidade радость 快乐 高兴",
    "neutral": "neu neutral neutrality neutre neutrale neutro neutralität нейтрально 中立 中性",
    "sadness": "sad sadness trauer traurig traurigkeit tristesse tristezza tri triste tristeza "
    "грусть 伤心 悲伤",
    "surprise": "sur surprise surprised überraschung ueberraschung sorpresa surpresa sor ps "
    "удивление 惊喜",
}
"""Words and usual codes of each emotion, in the languages of published corpora."""

_CLASS_OF = {
    unicodedata.normalize("NFC", word): emotion
    for emotion, words in EMOTION_WORDS.items()
    for word in words.split()
}
_SPEAKER_COLUMN = re.compile(
    r"(speaker|spk|talker|actor|subj|subject|participant|user|client|person|sprecher|proband|"
    r"locuteur|parlante|hablante)([ _-]?(id|name|no|number|code))?",
    re.IGNORECASE,
)
_TEXT_COLUMN = re.compile(
    r"(transcript(ion)?|(raw_)?text|sentence|utterance_text|orthography)", re.IGNORECASE
)
_EMOTION_COLUMN = re.compile(
    r"(emo(tion)?s?|mood|affect|feeling|label|class|category)([ _-]?(label|name|class|id|code))?",
    re.IGNORECASE,
)
_COLUMNS = {
    "file": FILE_COLUMN,
    "speaker": _SPEAKER_COLUMN,
    "emotion": _EMOTION_COLUMN,
    "transcript": _TEXT_COLUMN,
}
_NO_SPEAKER_COLUMN = re.compile(
    rf"{_TEXT_COLUMN.pattern}|sex|gender|age|split|fold|take|intensity|duration|id", re.IGNORECASE
)
_SPEAKER_NAME = re.compile(
    r"(spk|speaker|actor|actress|subj|subject|participant|child|patient|(fe)?male|(wo)?man)"
    r"[ _-]?\d+",
    re.IGNORECASE,
)
_SEX = re.compile(r"[fmw]|(fe)?males?|(wo)?m[ae]n", re.IGNORECASE)
_NO_SPEAKER_NAME = re.compile(
    r"(train(ing)?|dev(elopment)?|val(id(ation)?)?|eval(uation)?|test|split|fold|part|set|session|"
    r"day|batch|disc|take|sentence|script|audio|wavs?|mp3|flac|data|backup|copy|old|new|original|"
    r"augmented|clean|noisy)([ _-]?(set|data|\d+))?|"
    rf"{_SEX.pattern}|(low|high|weak|strong|normal|medium|mild|moderate|intense)"
    r"([ _-]?intensity)?",
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

    contradictions: int = 0
    """Recordings that rows of the table give different values."""

    @property
    def distinct(self) -> list[str]:
        """The different values, sorted, without the empty one."""
        return sorted({value for value in self.values if value})

    @property
    def division(self) -> tuple[int, ...]:
        """[recordings] Number of the group with the same value, whatever the values are."""
        numbers: dict[str, int] = {}
        return tuple(numbers.setdefault(value, len(numbers)) for value in self.values)

    @property
    def coverage(self) -> float:
        """Share of the recordings that have a value."""
        return sum(map(bool, self.values)) / len(self.values)

    def __str__(self) -> str:
        shown = ", ".join(self.distinct[:6]) + (" …" if len(self.distinct) > 6 else "")
        return f"{self.description} ({len(self.distinct)} values: {shown})"


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
        Columns of tables, folders of the path, and parts of the names of folders and files between
        separators and between letters and digits; only those that most recordings have, with two
        values or more.
    """
    listed = [each for table in tables for each in _table_candidates(table, files)]
    for name, texts in _components(files):
        if name != "the file name":
            listed.append(Candidate(name, texts))
        for kind, split in (("part", _SEPARATORS.split), ("run of letters or digits", _runs)):
            parts = [[part for part in split(text) if part] for text in texts]
            for number in range(max(map(len, parts))):
                values = tuple(row[number] if number < len(row) else "" for row in parts)
                listed.append(Candidate(f"{kind} {number + 1} of {name}", values))
            last = tuple(row[-1] if row else "" for row in parts)
            listed.append(Candidate(f"last {kind} of {name}", last))
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


def _components(files: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Name and text of each level of the paths."""
    paths = [PurePosixPath(unicodedata.normalize("NFC", name)) for name in files]
    components: list[tuple[str, tuple[str, ...]]] = []
    for level in range(max(len(path.parts) for path in paths) - 1):
        texts = tuple(path.parts[level] if level < len(path.parts) - 1 else "" for path in paths)
        if components and all(map(_SEX.fullmatch, components[-1][1])):
            sexes = components[-1][1]  # female/01 and male/01 are two speakers
            texts = tuple(f"{sex}/{text}" for sex, text in zip(sexes, texts, strict=True))
        components.append((f"folder {level + 1}", texts))
    return [*components, ("the file name", tuple(path.stem for path in paths))]


def _runs(text: str) -> list[str]:
    return _LETTERS_AND_DIGITS.findall(text)


def _table_candidates(table: Table, files: Sequence[str]) -> list[Candidate]:
    rows_of = table.rows_of(files)
    return [
        Candidate(
            f"column {column} of {table}",
            tuple(rows_of[file][0][column] if file in rows_of else "" for file in files),
            column,
            table,
            sum(len({row[column] for row in rows}) > 1 for rows in rows_of.values()),
        )
        for column in table.columns
    ]


def emotion_candidates(listed: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that may be the emotion, the likeliest first.

    Parameters
    ----------
    listed : sequence of Candidate
        Candidates of a folder.

    Returns
    -------
    list of Candidate
        Those with words for at least two emotions, columns with a name such as emotion, then label,
        first; then columns named emotion with other values.
    """
    likely = [each for each in listed if _emotion_rank(each) < 4]
    return sorted(likely, key=lambda each: (_emotion_rank(each), -_words(each)))


def _words(candidate: Candidate) -> int:
    return sum(emotion_class(value) is not None for value in candidate.values)


def _emotion_rank(candidate: Candidate) -> int:
    """How likely a candidate is the emotion: 0 is likeliest, 4 is none."""
    stated = sum(map(bool, candidate.values))
    classes = {emotion_class(value) for value in candidate.distinct} - {None}
    column = candidate.column or ""
    is_emotion = column.lower().startswith(("emo", "mood", "affect", "feeling"))
    if len(classes) > 1 and _words(candidate) >= _MIN_SHARE * stated:
        if _EMOTION_COLUMN.fullmatch(column):
            return 0 if is_emotion else 1
        return 2
    return 3 if is_emotion and _EMOTION_COLUMN.fullmatch(column) else 4


def choose_emotion(likely: Sequence[Candidate], ask: bool) -> Candidate | None:
    """Return the emotion that is taken without a question.

    Parameters
    ----------
    likely : sequence of Candidate
        What `emotion_candidates` returns.
    ask : bool
        Whether a question is possible; otherwise the likeliest candidate is taken.

    Returns
    -------
    Candidate or None
        The only one of its kind, or with `ask=False` the likeliest; None: ask.
    """
    if not likely:
        return None
    ranks = [_emotion_rank(each) for each in likely]
    return likely[0] if ranks.count(ranks[0]) == 1 or not ask else None


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
        Columns named as a speaker's; then names such as spk03, folders, other columns, and parts of
        names, numbers last, if most of their values occur with two emotions or more, and not all
        are words such as train and test, female and male, weak and strong. Of those that divide the
        recordings alike, the likeliest.
    """
    of_division: dict[tuple[int, ...], Candidate] = {}
    for each in sorted(listed, key=_rank):
        if each.values != emotion.values and _may_be_speaker(each, emotion):
            of_division.setdefault(each.division, each)
    return list(of_division.values())


def _may_be_speaker(candidate: Candidate, emotion: Candidate) -> bool:
    if candidate.column is not None and _NO_SPEAKER_COLUMN.fullmatch(candidate.column):
        return False
    if all(map(_NO_SPEAKER_NAME.fullmatch, candidate.distinct)):
        return False
    if _rank(candidate) == 0:
        return True
    emotions_of: dict[str, set[str]] = defaultdict(set)
    for value, label in zip(candidate.values, emotion.values, strict=True):
        if value and label:
            emotions_of[value].add(label)
    several = sum(len(labels) > 1 for labels in emotions_of.values())
    return len(emotions_of) > 1 and several > len(emotions_of) / 2


def _rank(candidate: Candidate) -> int:
    """How likely the kind of a candidate is a speaker: 0 is likeliest."""
    if candidate.column is not None and _SPEAKER_COLUMN.fullmatch(candidate.column):
        return 0
    if all(map(_SPEAKER_NAME.fullmatch, candidate.distinct)):
        return 1
    if candidate.description.startswith("folder"):
        return 2
    if candidate.column is not None:
        return 3
    return 5 if _is_numbering(candidate.values) else 4


def _is_numbering(values: Sequence[str]) -> bool:
    """Whether nearly all values are numbers after the same letters, such as s01 and s02."""
    stated = [value for value in values if value]
    letters = Counter(value.rstrip("0123456789") for value in stated if value[-1].isdigit())
    return max(letters.values(), default=0) > 0.9 * len(stated)


def choose_speaker(likely: Sequence[Candidate], ask: bool) -> Candidate | None:
    """Return the speaker that is taken without a question.

    Parameters
    ----------
    likely : sequence of Candidate
        What `speaker_candidates` returns.
    ask : bool
        Whether a question is possible. Otherwise names such as spk03 are preferred to folders, and
        folders with three values or more are taken where, besides them, only numbers may be the
        speaker.

    Returns
    -------
    Candidate or None
        The speaker; None: ask, or nothing gives it with certainty.
    """
    if not likely:
        return None
    first, ranks = likely[0], [_rank(each) for each in likely]
    is_alone = ranks.count(ranks[0]) == 1
    if ranks[0] == 0:
        return first if is_alone else None
    if ranks[0] == 1:
        return first if is_alone and not (ask and 2 in ranks) else None
    is_likely_folder = ranks[0] == 2 and {*ranks[1:]} <= {5} and len(first.distinct) > 2
    return first if is_likely_folder and not ask else None


def named_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return the columns of a table whose names say what they are.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns.

    Returns
    -------
    dict
        Name of the column by file, speaker, emotion and transcript; without those that no column,
        or more than one, may be.

    Examples
    --------
    >>> named_columns(["file", "spk", "label", "split"])
    {'file': 'file', 'speaker': 'spk', 'emotion': 'label'}
    """
    named = {}
    for name, pattern in _COLUMNS.items():
        matching = [each for each in columns if pattern.fullmatch(each)]
        if name in columns or len(matching) == 1:
            named[name] = name if name in columns else matching[0]
    return named


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
