"""Classes, protocol and training sizes that fit a corpus, for a new study."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.corpus.folder_metadata import emotion_class
from emoscale.corpus.readers import Utterance
from emoscale.protocol.folds import assign_roles
from emoscale.protocol.official import IS_TEST_SPLIT
from emoscale.runtime.errors import ProtocolError

_MIN_CLASS_SHARE = 0.02
_MIN_CLASS_UTTERANCES = 10
_MAX_SESSIONS = 12
_MAX_SIZES = 6
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_NO_EMOTIONS = frozenset(
    {"other", "no agreement", "hidden", "oth", "xxx", "unknown", "none", "nan", "n/a", "na", "-"}
)


@dataclass(frozen=True)
class Proposal:
    """What a new study of a corpus begins with."""

    classes: dict[str, list[str]]
    """Labels of the corpus in each class."""

    unused: dict[str, str]
    """Reason for each label that is in no class."""

    protocol: ProtocolSettings
    """Folds and development sets."""

    sizes: list[int]
    """Training sizes that every fold has, without `all`."""

    smallest_training_set: int
    """Training utterances of the fold that has fewest."""


def class_names(labels: Collection[str]) -> dict[str, str]:
    """Return a class for each label that is an emotion, known by name or not.

    Parameters
    ----------
    labels : collection of str
        Labels of a corpus.

    Returns
    -------
    dict
        Class of each label except those such as other and unknown: the emotion that it means, else
        the label itself, as far as a class may have this name.

    Examples
    --------
    >>> class_names(["Wut", "very tired", "0", "other"])
    {'0': '0', 'Wut': 'anger', 'very tired': 'very_tired'}
    """
    names = {label: _NO_NAME.sub("_", label).strip("_-")[:64] for label in labels}
    class_of: dict[str, str] = {}
    for label in sorted(labels, key=lambda label: (names[label] != label, label)):
        if label.casefold() not in _NO_EMOTIONS:
            name = names[label]
            if not name or name in class_of.values():
                name = f"class{len(class_of) + 1}"
            class_of[label] = emotion_class(label) or name
    return class_of


def propose(
    utterances: Sequence[Utterance], class_of: Callable[[str], str | None], repeats: int = 5
) -> Proposal:
    """Propose classes, a protocol and sizes.

    Parameters
    ----------
    utterances : sequence of Utterance
        Utterances of the corpus.
    class_of : callable
        Returns the class of a label, None for one that is no emotion.
    repeats : int
        Repeats of each training.

    Returns
    -------
    Proposal
        Classes with enough utterances and speakers; as folds the official test splits whose
        speakers are in no other split, else sessions where there are 3 to 12 and each speaker is in
        one, else groups of speakers; sizes in equal steps of a logarithmic scale.

    Raises
    ------
    ProtocolError
        If the corpus has one speaker, or less than two classes.
    """
    classes, unused = _classes(utterances, class_of)
    while True:
        if len(classes) < 2:
            reasons = "; ".join(f"{label}: {reason}" for label, reason in unused.items())
            raise ProtocolError(f"the corpus has less than two classes ({reasons})")
        table = _table(utterances, classes)
        protocol = _protocol(table.drop_nulls("label"), repeats)
        folds = [assign_roles(table, protocol, fold, seed=1) for fold in range(protocol.folds)]
        missing = _missing_classes(folds, classes)
        if not missing:
            break
        for name, reason in missing.items():
            unused |= dict.fromkeys(classes.pop(name), reason)
    smallest = min(len(fold.filter(pl.col("role") == "train")) for fold in folds)
    return Proposal(classes, unused, protocol, _sizes(smallest, len(classes)), smallest)


def _table(utterances: Iterable[Utterance], classes: Mapping[str, Iterable[str]]) -> pl.DataFrame:
    class_of = {label: name for name, labels in classes.items() for label in labels}
    rows = [
        {
            "utterance": each.utterance,
            "corpus": "corpus",
            "label": class_of.get(each.emotion),
            "speaker": each.speaker,
            "sex": each.sex,
            "session": each.session,
            "split": each.split,
        }
        for each in utterances
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))


def _missing_classes(folds: Sequence[pl.DataFrame], classes: Iterable[str]) -> dict[str, str]:
    """Reason for each class that a role of a fold lacks."""
    missing: dict[str, str] = {}
    for number, fold in enumerate(folds, start=1):
        for (role,), rows in sorted(fold.group_by("role")):
            for name in {*classes} - {*rows["label"]}:
                missing.setdefault(name, f"the {role} set of fold {number} has none")
    return missing


def _classes(
    utterances: Sequence[Utterance], class_of: Callable[[str], str | None]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Labels of each class, and the reason for each label in no class."""
    of_class: dict[str | None, list[Utterance]] = defaultdict(list)
    for each in utterances:
        of_class[class_of(each.emotion)].append(each)
    enough_speakers = min(3, len({each.speaker for each in utterances}))
    enough = max(_MIN_CLASS_UTTERANCES, _MIN_CLASS_SHARE * len(utterances))
    classes: dict[str, list[str]] = {}
    unused: dict[str, str] = {}
    for name, members in of_class.items():
        counts = Counter(each.emotion for each in members)
        speakers = len({each.speaker for each in members})
        if name is None:
            unused |= {
                label: f"{count:,} utterances; not an emotion that is known by name"
                for label, count in counts.items()
            }
        elif len(members) < enough or speakers < enough_speakers:
            reason = f"only {len(members):,} utterances; speakers: {speakers}"
            unused |= dict.fromkeys(counts, reason)
        else:
            classes[name] = sorted(counts)
    return dict(sorted(classes.items())), dict(sorted(unused.items()))


def _protocol(labelled: pl.DataFrame, repeats: int) -> ProtocolSettings:
    test_splits = labelled.filter(IS_TEST_SPLIT)["split"].n_unique()
    if test_splits and "train" in labelled["split"] and not _shares_speakers(labelled):
        return ProtocolSettings(
            fold_unit="official",
            folds=test_splits,
            development="official" if "dev" in labelled["split"] else "random",
            repeats=repeats,
        )
    sessions = labelled["session"].n_unique()
    one_session_each = (
        labelled.select("speaker", "session").n_unique() == labelled["speaker"].n_unique()
    )
    if one_session_each and not labelled["session"].null_count() and 3 <= sessions <= _MAX_SESSIONS:
        return ProtocolSettings(fold_unit="session", folds=sessions, repeats=repeats)
    speakers = labelled["speaker"].n_unique()
    if speakers < 2:
        raise ProtocolError(
            f"all utterances are of the speaker {labelled['speaker'][0]}, so no test is possible "
            "with speakers that are not in training"
        )
    return ProtocolSettings(
        fold_unit="speakers",
        folds=speakers if speakers < 10 else 5,
        development="unit" if speakers > 2 else "random",
        repeats=repeats,
    )


def _shares_speakers(labelled: pl.DataFrame) -> bool:
    """Whether the test splits have speakers of the others, or an utterance is in no split."""
    tested = labelled.filter(IS_TEST_SPLIT)["speaker"].unique()
    others = labelled.filter(~IS_TEST_SPLIT)["speaker"]
    return bool(labelled["split"].null_count()) or bool(tested.is_in(others.implode()).any())


def _sizes(smallest: int, classes: int) -> list[int]:
    """Sizes from 5 a class on, each twice (or four times) the one before."""
    first = -(-5 * classes // 10) * 10
    for factor in (2, 4, 8):
        sizes = []
        size = first
        while size < 0.9 * smallest:
            sizes.append(size)
            size *= factor
        if len(sizes) < _MAX_SIZES:
            break
    return sizes
