"""Keys of the study as a whole, of its corpus and of its labels."""

from __future__ import annotations

from tests.workflow.invalidation.effects import (
    EVERYTHING,
    FETCHED,
    LABELS,
    NAMED,
    NOTHING,
    PROTOCOL,
    READING,
    SMALL_DECLARED,
    SMALL_READING,
    of,
)
from tests.workflow.invalidation.row import (
    DECLARED_WORDS,
    LABELS_WORDS,
    NAMED_WORDS,
    PROTOCOL_WORDS,
    READING_WORDS,
    Row,
    reading,
)
from tests.workflow.invalidation.studies import CORPORA

KEYS: dict[str, Row] = {
    "study": Row("other", EVERYTHING, "everything, in another folder"),
    "results": reading(
        "csv",
        "elsewhere",
        SMALL_READING | of("fetch_checkpoint", who="made"),
        "everything, in another folder",
        "results",
    ),
    "seed": Row(4, PROTOCOL, PROTOCOL_WORDS),
    "corpus(DemoCorpus).root": Row(
        "results/raw2",
        EVERYTHING - FETCHED | of("generate_demo"),
        "everything but weights",
        "corpus.root",
    ),
    **{
        f"corpus(DemoCorpus).{key}": Row(
            to,
            READING | of("generate_demo"),
            f"the generated corpus; {READING_WORDS}",
            f"corpus.{key}",
        )
        for key, to in (
            ("sessions", 4),
            ("utterances_per_session", 60),
            ("expressiveness", 0.5),
            ("seed", 2),
        )
    },
    "corpus(DemoCorpus).reader": Row(CORPORA["csv"], READING, READING_WORDS, "corpus"),
    "corpus(CsvCorpus).reader": reading(
        "csv", CORPORA["emodb"], SMALL_READING, READING_WORDS, "corpus"
    ),
    "corpus(EmodbCorpus).reader": reading(
        "emodb", CORPORA["csv"], SMALL_READING, READING_WORDS, "corpus"
    ),
    "corpus(IemocapCorpus).reader": reading(
        "iemocap", CORPORA["csv"], SMALL_READING, READING_WORDS, "corpus"
    ),
    "corpus(SeveralCorpora).reader": reading(
        "several", CORPORA["csv"], SMALL_READING, READING_WORDS, "corpus"
    ),
    **{
        f"corpus({kind}).root": reading(
            name,
            f"copies/{CORPORA[name]['root']}",
            NOTHING,
            "nothing, where the same files lie there",
            "corpus.root",
        )
        for kind, name in (
            ("CsvCorpus", "csv"),
            ("EmodbCorpus", "emodb"),
            ("IemocapCorpus", "iemocap"),
            ("SeveralCorpora", "several"),
        )
    },
    "corpus(DemoCorpus).name": Row("made up", NAMED, NAMED_WORDS, "corpus.name"),
    **{
        f"corpus({kind}).name": reading(name, "Another", NAMED, NAMED_WORDS, "corpus.name")
        for kind, name in (
            ("CsvCorpus", "csv"),
            ("EmodbCorpus", "emodb"),
            ("IemocapCorpus", "iemocap"),
            ("SeveralCorpora", "several"),
        )
    },
    **{
        f"corpus(SeveralCorpora).corpora({kind}).name": reading(
            "several", "Another", NOTHING, "nothing", f"corpus.corpora.{name}.name"
        )
        for kind, name in (
            ("CsvCorpus", "first"),
            ("EmodbCorpus", "second"),
            ("IemocapCorpus", "third"),
        )
    },
    **{
        f"corpus{of_several}(CsvCorpus).{key}": reading(
            corpus, to, effect, words, f"corpus{path}.{key}"
        )
        for of_several, corpus, path in (
            ("", "csv", ""),
            ("(SeveralCorpora).corpora", "several", ".corpora.first"),
        )
        for key, to, effect, words in (
            ("table", "others.csv", SMALL_DECLARED, DECLARED_WORDS),
            ("columns", {"speaker": "who"}, SMALL_DECLARED, DECLARED_WORDS),
            ("emotions", ["angry", "sad"], NOTHING, "nothing, where all labels are among them"),
        )
    },
    **{
        f"corpus(SeveralCorpora).corpora({kind}).{key}": reading(
            "several", to, SMALL_READING, READING_WORDS, f"corpus.corpora.{name}{path}"
        )
        for kind, name in (
            ("CsvCorpus", "first"),
            ("EmodbCorpus", "second"),
            ("IemocapCorpus", "third"),
        )
        for key, path, to in (
            (
                "reader",
                "",
                CORPORA["emodb"] if name == "first" else {**CORPORA["csv"], "table": "others.csv"},
            ),
            (
                "root",
                ".root",
                "elsewhere/" + CORPORA["several"]["corpora"][name]["root"],
            ),
        )
    },
    "shards": Row(2, READING, READING_WORDS),
    "audio.minimum_seconds": Row(0.2, READING, READING_WORDS),
    "audio.minimum_peak": Row(1e-3, READING, READING_WORDS),
    "audio.maximum_peak": Row(2.0, READING, READING_WORDS),
    "labels.classes": Row({"active": ["ang"], "calm": ["neu"]}, LABELS, LABELS_WORDS),
    "labels.styles": Row(["improvised"], LABELS, LABELS_WORDS),
    "labels.exclude": Row(["Ses01F_impro01_F000"], LABELS, LABELS_WORDS),
}
