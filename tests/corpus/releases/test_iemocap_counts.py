"""The IEMOCAP reader returns the published counts for label files with those counts.

The counts are those of the release (10,039 utterances in 151 dialogs; 5,531 in the usual four
classes), as public parsers report them. The tree holds label files only: counting needs no audio.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from emoscale.config.corpus import LabelSettings, ReleaseCorpus
from emoscale.corpus.labels import add_labels
from emoscale.corpus.readers import read_corpus

FOUR_CLASSES = {  # session: neu, ang, sad, hap, exc
    1: (384, 229, 194, 135, 143),
    2: (362, 137, 197, 117, 210),
    3: (320, 240, 305, 135, 151),
    4: (258, 327, 143, 65, 238),
    5: (384, 170, 245, 143, 299),
}
WOMEN = {1: 528, 2: 481, 3: 522, 4: 528, 5: 590}
MEN = {1: 557, 2: 542, 3: 629, 4: 503, 5: 651}
SENTENCES = {1: 1819, 2: 1811, 3: 2136, 4: 2103, 5: 2170}
DIALOGS = {1: 28, 2: 30, 3: 32, 4: 30, 5: 31}
IMPROVISED = {"neu": 1099, "exc": 663, "sad": 608, "ang": 289, "hap": 284}
OTHERS = {"fru": 1849, "xxx": 2507, "sur": 107, "fea": 40, "oth": 3, "dis": 2}
POOLS = {  # the other sessions' anger, happiness (with excited), neutral, sadness
    1: (874, 1358, 1324, 890),
    2: (966, 1309, 1346, 887),
    3: (863, 1350, 1388, 779),
    4: (776, 1333, 1450, 941),
    5: (933, 1194, 1324, 839),
}


def dialog_names(session: int) -> tuple[list[str], list[str]]:
    """Improvised and scripted dialogs of a session, as many as in the release, some irregular."""
    improvised = [f"Ses{session:02d}{sex}_impro0{n}" for sex in "FM" for n in range(1, 8)]
    if session == 3:
        improvised += [f"Ses03M_impro0{name}" for name in ("5a", "5b", "8a", "8b")]
    scripted = [
        f"Ses{session:02d}{sex}_script0{n}_{part}"
        for sex in "FM"
        for n in (1, 2, 3)
        for part in (1, 2, 3)
    ]
    if session == 5:
        scripted[9] += "b"
    return improvised, scripted[: DIALOGS[session] - len(improvised)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("IEMOCAP_full_release")
    improvised_remaining = dict(IMPROVISED)
    others = [code for code, count in OTHERS.items() for _ in range(count)]
    for session, counts in FOUR_CLASSES.items():
        four = [
            code
            for code, count in zip(("neu", "ang", "sad", "hap", "exc"), counts, strict=True)
            for _ in range(count)
        ]
        sexes = ["F"] * WOMEN[session] + ["M"] * MEN[session]
        rest = [others.pop() for _ in range(SENTENCES[session] - len(four))]
        improvised, scripted = dialog_names(session)
        turns: dict[str, list[str]] = {name: [] for name in improvised + scripted}
        turn_counts: Counter[tuple[str, str]] = Counter()
        used: Counter[bool] = Counter()
        for number, code in enumerate(four + rest):
            sex = sexes[number] if number < len(four) else "FM"[number % 2]
            spontaneous = number % 2 == 0
            if number < len(four):
                spontaneous = improvised_remaining[code] > 0
                improvised_remaining[code] -= spontaneous
            names = improvised if spontaneous else scripted
            dialog = names[used[spontaneous] % len(names)]
            used[spontaneous] += 1
            turn = f"{dialog}_{sex}{turn_counts[dialog, sex]:03d}"
            turn_counts[dialog, sex] += 1
            turns[dialog].append(
                f"[1.0 - 2.0]\t{turn}\t{code}\t[2.5, 2.5, 2.5]\nC-E1:\tOther;\t()\n"
            )
        folder = root / f"Session{session}" / "dialog" / "EmoEvaluation"
        folder.mkdir(parents=True)
        (folder.parent / "transcriptions").mkdir()
        for dialog, blocks in turns.items():
            (folder / f"{dialog}.txt").write_text("% header\n\n" + "\n".join(blocks))
    assert not others
    return root


@pytest.fixture(scope="module")
def utterances(tree: Path) -> pl.DataFrame:
    reading = read_corpus(ReleaseCorpus(reader="iemocap", root=str(tree)))
    assert reading.rejected == []
    return pl.DataFrame(
        [
            {name: getattr(u, name) for name in ("utterance", "session", "sex", "style", "emotion")}
            | {"speaker": u.speaker, "dialog": u.dialog, "corpus": "iemocap"}
            for u in reading.utterances
        ]
    )


@pytest.fixture(scope="module")
def labelled(utterances: pl.DataFrame) -> pl.DataFrame:
    classes = {
        "anger": ["ang"],
        "happiness": ["hap", "exc"],
        "neutral": ["neu"],
        "sadness": ["sad"],
    }
    return add_labels(utterances, LabelSettings(classes=classes)).drop_nulls("label")


def counts(table: pl.DataFrame, *columns: str) -> dict[tuple[object, ...], int]:
    return {tuple(key): len(group) for key, group in table.group_by(*columns)}


def test_all_utterances(utterances: pl.DataFrame) -> None:
    assert len(utterances) == 10_039
    assert counts(utterances, "session") == {(f"Ses0{s}",): n for s, n in SENTENCES.items()}
    assert counts(utterances, "emotion") == {
        ("neu",): 1708,
        ("ang",): 1103,
        ("sad",): 1084,
        ("exc",): 1041,
        ("hap",): 595,
        **{(code,): count for code, count in OTHERS.items()},
    }
    assert utterances["speaker"].n_unique() == 10
    assert utterances["dialog"].n_unique() == 151


def test_four_classes_by_session_and_sex(labelled: pl.DataFrame) -> None:
    assert len(labelled) == 5_531
    per_session = counts(labelled, "session", "emotion")
    for session, (neu, ang, sad, hap, exc) in FOUR_CLASSES.items():
        expected = {"neu": neu, "ang": ang, "sad": sad, "hap": hap, "exc": exc}
        for emotion, count in expected.items():
            assert per_session[f"Ses0{session}", emotion] == count
    assert counts(labelled, "session", "sex") == {
        **{(f"Ses0{session}", "F"): count for session, count in WOMEN.items()},
        **{(f"Ses0{session}", "M"): count for session, count in MEN.items()},
    }


def test_improvised_only(labelled: pl.DataFrame) -> None:
    improvised = labelled.filter(pl.col("style") == "improvised")
    assert len(improvised) == 2_943
    assert counts(improvised, "emotion") == {(code,): n for code, n in IMPROVISED.items()}


def test_training_pools_of_leave_one_session_out(labelled: pl.DataFrame) -> None:
    for session, expected in POOLS.items():
        pool = counts(labelled.filter(pl.col("session") != f"Ses0{session}"), "label")
        names = ("anger", "happiness", "neutral", "sadness")
        assert tuple(pool[(name,)] for name in names) == expected
