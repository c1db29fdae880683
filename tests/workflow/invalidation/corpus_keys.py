"""Table rows: keys of the study, its corpus and its labels."""

from __future__ import annotations

from tests.workflow.invalidation.effects import (
    AUDIO,
    CHECKPOINTS,
    CORPUS_NAME,
    EVERYTHING,
    LABELS,
    NOTHING,
    PROTOCOL,
    READING,
    SMALL_METADATA,
    SMALL_READING,
    jobs_of,
)
from tests.workflow.invalidation.row import (
    AUDIO_TEXT,
    CORPUS_NAME_TEXT,
    LABELS_TEXT,
    METADATA_TEXT,
    PROTOCOL_TEXT,
    READING_TEXT,
    Row,
    reading,
)
from tests.workflow.invalidation.studies import CORPORA

KEYS: dict[str, Row] = {
    "study": Row("other", EVERYTHING, "everything, in another folder"),
    "results": reading(
        "csv",
        "elsewhere",
        SMALL_READING | jobs_of("fetch_checkpoint", subject="untrained"),
        "everything, in another folder",
        "results",
    ),
    "seed": Row(4, PROTOCOL, PROTOCOL_TEXT),
    "corpus(DemoCorpus).root": Row(
        "results/raw2",
        EVERYTHING - CHECKPOINTS | jobs_of("generate_demo"),
        "everything except fetching and pre-training checkpoints",
        "corpus.root",
    ),
    **{
        f"corpus(DemoCorpus).{key}": Row(
            value,
            READING | jobs_of("generate_demo"),
            f"the generated corpus; {READING_TEXT}",
            f"corpus.{key}",
        )
        for key, value in (
            ("sessions", 4),
            ("utterances_per_session", 60),
            ("expressiveness", 0.5),
            ("seed", 2),
        )
    },
    "corpus(DemoCorpus).reader": Row(CORPORA["csv"], READING, READING_TEXT, "corpus"),
    "corpus(CsvCorpus).reader": reading(
        "csv", CORPORA["emodb"], SMALL_READING, READING_TEXT, "corpus"
    ),
    "corpus(AudformatCorpus).reader": reading(
        "audformat", CORPORA["csv"], SMALL_READING, READING_TEXT, "corpus"
    ),
    "corpus(ReleaseCorpus).reader": reading(
        "crema_d", CORPORA["csv"], SMALL_READING, READING_TEXT, "corpus"
    ),
    "corpus(ReleaseCorpus).label": reading(
        "crema_d", "voice", SMALL_METADATA | CORPUS_NAME, METADATA_TEXT, "corpus.label"
    ),
    "corpus(SeveralCorpora).reader": reading(
        "several", CORPORA["csv"], SMALL_READING, READING_TEXT, "corpus"
    ),
    **{
        f"corpus({kind}).root": reading(
            name,
            f"copies/{CORPORA[name]['root']}",
            NOTHING,
            "nothing, if the files are the same",
            "corpus.root",
        )
        for kind, name in (
            ("CsvCorpus", "csv"),
            ("AudformatCorpus", "audformat"),
            ("ReleaseCorpus", "crema_d"),
            ("SeveralCorpora", "several"),
        )
    },
    "corpus(DemoCorpus).name": Row("Another", CORPUS_NAME, CORPUS_NAME_TEXT, "corpus.name"),
    **{
        f"corpus({kind}).name": reading(
            name, "Another", CORPUS_NAME, CORPUS_NAME_TEXT, "corpus.name"
        )
        for kind, name in (
            ("CsvCorpus", "csv"),
            ("AudformatCorpus", "audformat"),
            ("ReleaseCorpus", "crema_d"),
            ("SeveralCorpora", "several"),
        )
    },
    **{
        f"corpus(SeveralCorpora).corpora({kind}).name": reading(
            "several", "Another", NOTHING, "nothing", f"corpus.corpora.{name}.name"
        )
        for kind, name in (
            ("CsvCorpus", "first"),
            ("ReleaseCorpus", "second"),
            ("AudformatCorpus", "fourth"),
        )
    },
    **{
        f"corpus{prefix}(CsvCorpus).{key}": reading(
            corpus, value, effect, text, f"corpus{path}.{key}"
        )
        for prefix, corpus, path in (
            ("", "csv", ""),
            ("(SeveralCorpora).corpora", "several", ".corpora.first"),
        )
        for key, value, effect, text in (
            ("table", "others.csv", SMALL_METADATA, METADATA_TEXT),
            ("columns", {"speaker": "who"}, SMALL_METADATA, METADATA_TEXT),
            ("emotions", ["angry", "sad"], NOTHING, "nothing, if the list has all labels"),
            ("votes", "votes.csv", SMALL_METADATA, METADATA_TEXT),
            ("vote_columns", {"angry": "n_angry"}, SMALL_METADATA, METADATA_TEXT),
        )
    },
    **{
        f"corpus{prefix}(AudformatCorpus).{key}": reading(
            corpus, value, SMALL_METADATA, METADATA_TEXT, f"corpus{path}.{key}"
        )
        for prefix, corpus, path in (
            ("", "audformat", ""),
            ("(SeveralCorpora).corpora", "several", ".corpora.fourth"),
        )
        for key, value in (
            ("columns", {"speaker": "who"}),
            ("tables", ["others"]),
            ("votes", "votes"),
        )
    },
    **{
        f"corpus(SeveralCorpora).corpora({kind}).{key}": reading(
            "several", value, SMALL_READING, READING_TEXT, f"corpus.corpora.{name}{path}"
        )
        for kind, name in (
            ("CsvCorpus", "first"),
            ("ReleaseCorpus", "second"),
            ("AudformatCorpus", "fourth"),
        )
        for key, path, value in (
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
    **{
        f"corpus(SeveralCorpora).corpora(DemoCorpus).{key}": reading(
            "partly_generated",
            value,
            SMALL_READING | jobs_of("generate_demo"),
            f"the generated corpus; {READING_TEXT}",
            f"corpus.corpora.second.{key}",
        )
        for key, value in (
            ("root", "results/raw2"),
            ("sessions", 4),
            ("utterances_per_session", 60),
            ("expressiveness", 0.5),
            ("seed", 2),
        )
    },
    "corpus(SeveralCorpora).corpora(DemoCorpus).reader": reading(
        "partly_generated",
        {**CORPORA["csv"], "table": "others.csv"},
        SMALL_READING,
        READING_TEXT,
        "corpus.corpora.second",
    ),
    "corpus(SeveralCorpora).corpora(DemoCorpus).name": reading(
        "partly_generated", "Another", NOTHING, "nothing", "corpus.corpora.second.name"
    ),
    "corpus(SeveralCorpora).corpora(ReleaseCorpus).label": reading(
        "several",
        "voice",
        SMALL_METADATA | CORPUS_NAME,
        METADATA_TEXT,
        "corpus.corpora.second.label",
    ),
    "shards": Row(2, READING, READING_TEXT),
    "audio.minimum_seconds": Row(0.2, AUDIO, AUDIO_TEXT),
    "audio.minimum_peak": Row(1e-3, AUDIO, AUDIO_TEXT),
    "audio.maximum_peak": Row(2.0, AUDIO, AUDIO_TEXT),
    "labels.classes": Row({"active": ["ang"], "calm": ["neu"]}, LABELS, LABELS_TEXT),
    "labels.styles": Row(["improvised"], LABELS, LABELS_TEXT),
    "labels.exclude": Row(["Ses01F_impro01_F000"], LABELS, LABELS_TEXT),
}
