"""Which corpus, how it is read, and which of its labels are the study's classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from emoscale.config.settings import DisplayName, Name, OutputFolder, Settings, UserPath

OF_CORPUS = ":"
"""Stands between the name of one of several corpora and what is its own: emodb:03a01Fa."""


class AudioChecks(Settings):
    """When a recording is fit to be used; what is not goes to `rejected.parquet`."""

    renamed: ClassVar[Mapping[str, str]] = {
        "silence_peak": "minimum_peak",
        "largest_peak": "maximum_peak",
    }

    minimum_seconds: float = Field(default=0.1, ge=0.03)
    """Shorter utterances are rejected: the representations need at least one frame."""

    minimum_peak: float = Field(default=1e-4, ge=0.0, lt=1.0)
    """An utterance whose largest sample (full scale 1) is not above this is rejected as silent."""

    maximum_peak: float = Field(default=1e6, ge=1.0)
    """Samples larger than this (full scale 1) are rejected: the file is damaged. Float files in
    the units of 16 bits (up to 32,768) pass."""


class NamedCorpus(Settings):
    """Base class of the corpora."""

    name: DisplayName | None = None
    """Name in tables, figures and the report, such as nEMO. null: that of the reader, or of the
    folder of recordings; changing it reads and trains nothing again."""


class IemocapCorpus(NamedCorpus):
    """IEMOCAP, the release as the University of Southern California sends it."""

    reader: Literal["iemocap"]

    root: UserPath
    """Folder that holds Session1 … Session5 (or `IEMOCAP_full_release` with them)."""


class EmodbCorpus(NamedCorpus):
    """EMO-DB, the Berlin database of emotional speech; file names carry everything."""

    reader: Literal["emodb"]

    root: UserPath
    """Folder that holds the recordings, or the release's folder with `wav/` in it."""


class CsvCorpus(NamedCorpus):
    """Any folder of recordings with a table of file, speaker and emotion."""

    reader: Literal["csv"]

    root: UserPath
    """Folder to which the table's file names are relative."""

    table: UserPath = "utterances.csv"
    """The table, relative to `root`; comma- or tab-separated by its ending (.csv, .tsv)."""

    columns: dict[str, str] = Field(default_factory=dict)
    """The table's own column names, where they differ: for example {speaker: spk_id}."""

    emotions: list[str] | None = None
    """The corpus's label set; a row with another label is rejected. Null: any label is known."""


class DemoCorpus(NamedCorpus):
    """A synthetic corpus in IEMOCAP's layout, generated before it is read."""

    renamed: ClassVar[Mapping[str, str]] = {"utterances": "utterances_per_session"}

    reader: Literal["demo"]

    root: OutputFolder
    """Folder to generate it in."""

    sessions: int = Field(default=5, ge=2, le=9)
    """Recording sessions, each with a woman and a man of its own."""

    utterances_per_session: int = Field(default=180, ge=24, le=5000)
    """Utterances of each session, before the few that are made faulty on purpose."""

    expressiveness: float = Field(default=1.0, ge=0.0, le=3.0)
    """How far voices move with emotion, against how far speakers differ; 0: not at all."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of everything random in the generated corpus."""


OneCorpus = Annotated[IemocapCorpus | EmodbCorpus | CsvCorpus, Field(discriminator="reader")]


class SeveralCorpora(NamedCorpus):
    """Several corpora as one: for training on some and testing on others."""

    reader: Literal["several"]

    root: UserPath
    """Folder in which all of them lie."""

    corpora: dict[Name, OneCorpus] = Field(min_length=2)
    """Each corpus under a name of its own, with its `root` relative to the common one. The name
    stands before its utterances, speakers, sessions and dialogs (emodb:03a01Fa)."""

    @field_validator("corpora", mode="before")
    @classmethod
    def _none_is_generated(cls, corpora: Any) -> Any:
        for name, corpus in corpora.items() if isinstance(corpora, dict) else ():
            reader = corpus.get("reader") if isinstance(corpus, dict) else None
            if reader in ("demo", "several"):
                raise ValueError(
                    f"{name} has the reader {reader}, which cannot be one of several; use "
                    "iemocap, emodb or csv"
                )
        return corpora

    @model_validator(mode="after")
    def _roots_lie_in_the_common_one(self) -> SeveralCorpora:
        for name, corpus in self.corpora.items():
            path = PurePath(corpus.root)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(
                    f"the root of {name} ({corpus.root}) must lie in corpus.root and be written "
                    "relative to it; set corpus.root to a folder that holds all the corpora"
                )
        return self

    def within(self) -> dict[str, OneCorpus]:
        """The corpora by name, each with its whole path as `root`."""
        return {
            name: corpus.model_copy(update={"root": str(PurePath(self.root, corpus.root))})
            for name, corpus in self.corpora.items()
        }


CorpusSettings = Annotated[
    IemocapCorpus | EmodbCorpus | CsvCorpus | DemoCorpus | SeveralCorpora,
    Field(discriminator="reader"),
]


def corpus_name(corpus: CorpusSettings) -> str:
    """Return the name of a corpus in tables and figures; of generated speech it says synthetic.

    Parameters
    ----------
    corpus : CorpusSettings
        A study's corpus.

    Returns
    -------
    str
        Its `name`, else IEMOCAP, EMO-DB, the name of the folder of recordings, or of several
        corpora the keys under `corpora`.
    """
    match corpus:
        case DemoCorpus():
            return f"{corpus.name or 'demo'} (synthetic speech)"
        case _ if corpus.name is not None:
            return corpus.name
        case IemocapCorpus():
            return "IEMOCAP"
        case EmodbCorpus():
            return "EMO-DB"
        case SeveralCorpora():
            return ", ".join(corpus.corpora)
        case CsvCorpus():
            return PurePath(corpus.root).name or "csv"


def parts_of(corpus: CorpusSettings) -> list[OneCorpus | DemoCorpus]:
    """The corpora that are really read: those of several, or the one."""
    return list(corpus.within().values()) if isinstance(corpus, SeveralCorpora) else [corpus]


class LabelSettings(Settings):
    """The study's classes, and the part of the corpus that they are taken from."""

    classes: dict[Name, list[str]] = Field(min_length=2)
    """Each class of the study and the corpus labels that it gathers: {happiness: [hap, exc]}. Of
    several corpora, a label may be that of one only: emodb:happiness."""

    styles: list[Literal["improvised", "scripted"]] | None = Field(default=None, min_length=1)
    """Only utterances of these styles take part; null: all."""

    exclude: list[str] = Field(default_factory=list)
    """Keys of utterances that take no part, such as the second key of a recording that the audit
    found twice."""

    @model_validator(mode="after")
    def _each_label_in_one_class(self) -> LabelSettings:
        seen: dict[str, str] = {}
        for name, labels in self.classes.items():
            if not labels:
                raise ValueError(f"class {name} gathers no label; name at least one")
            for label in labels:
                if label in seen:
                    raise ValueError(
                        f"label {label} stands in the classes {seen[label]} and {name}; "
                        "keep it in one"
                    )
                seen[label] = name
        twice = sorted({key for key in self.exclude if self.exclude.count(key) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands twice under exclude; keep one")
        return self

    def class_of(self, corpus: str) -> dict[str, str]:
        """The class of each label of `corpus` that is in one.

        A label that is written for this corpus only goes before one for all of them.

        >>> classes = {"joy": ["joy", "b:up"], "anger": ["up", "anger"]}
        >>> settings = LabelSettings(classes=classes)
        >>> settings.class_of("a")["up"], settings.class_of("b")["up"]
        ('anger', 'joy')
        """
        class_of = {label: name for name, labels in self.classes.items() for label in labels}
        own = f"{corpus}{OF_CORPUS}"
        return class_of | {
            label.removeprefix(own): name
            for label, name in class_of.items()
            if label.startswith(own)
        }


class AuditSettings(Settings):
    """What an audit must know of the study."""

    unit: Literal["session", "speaker", "corpus", "file"]
    """What folds keep together, at the least; file: whatever a table says."""

    test_units: list[str] = Field(default_factory=list)
    """The units that are tested; empty: all."""

    exclude: list[str] = Field(default_factory=list)
    """`labels.exclude`."""

    @property
    def column(self) -> str:
        """Column of the utterance table that holds the unit; of a table's folds, the speaker."""
        return "speaker" if self.unit == "file" else self.unit

    def tests(self, *units: str) -> bool:
        """Whether some fold certainly tests one of these units, and not all of them together."""
        return self.unit != "file" and (not self.test_units or bool({*units} & {*self.test_units}))
