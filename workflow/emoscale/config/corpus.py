"""Which corpus, how it is read, and which of its labels are the study's classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from emoscale.config.settings import Name, Settings


class AudioChecks(Settings):
    """When a recording is fit to be used; what is not goes to `rejected.parquet`."""

    minimum_seconds: float = Field(default=0.1, ge=0.03)
    """Shorter utterances are rejected: the representations need at least one frame."""

    silence_peak: float = Field(default=1e-4, ge=0.0, lt=1.0)
    """An utterance whose largest sample (full scale 1) is not above this is rejected as silent."""

    largest_peak: float = Field(default=1e6, ge=1.0)
    """Samples larger than this (full scale 1) are rejected: the file is damaged. Float files in
    the units of 16 bits (up to 32,768) pass."""


class IemocapCorpus(Settings):
    """IEMOCAP, the release as the University of Southern California sends it."""

    reader: Literal["iemocap"]

    root: str = Field(min_length=1)
    """Folder that holds Session1 … Session5 (or `IEMOCAP_full_release` with them)."""


class EmodbCorpus(Settings):
    """EMO-DB, the Berlin database of emotional speech; file names carry everything."""

    reader: Literal["emodb"]

    root: str = Field(min_length=1)
    """Folder that holds the recordings, or the release's folder with `wav/` in it."""


class CsvCorpus(Settings):
    """Any folder of recordings with a table of file, speaker and emotion."""

    reader: Literal["csv"]

    root: str = Field(min_length=1)
    """Folder to which the table's file names are relative."""

    table: str = "utterances.csv"
    """The table, relative to `root`; comma- or tab-separated by its ending (.csv, .tsv)."""

    columns: dict[str, str] = Field(default_factory=dict)
    """The table's own column names, where they differ: for example {speaker: spk_id}."""

    emotions: list[str] | None = None
    """The corpus's label set; a row with another label is rejected. Null: any label is known."""


class DemoCorpus(Settings):
    """A synthetic corpus in IEMOCAP's layout, generated before it is read."""

    reader: Literal["demo"]

    root: str = Field(min_length=1)
    """Folder to generate it in."""

    sessions: int = Field(default=5, ge=2, le=9)
    """Recording sessions, each with a woman and a man of its own."""

    utterances: int = Field(default=180, ge=24, le=5000)
    """Utterances a session, before the few that are made faulty on purpose."""

    expressiveness: float = Field(default=1.0, ge=0.0, le=3.0)
    """How far voices move with emotion, against how far speakers differ; 0: not at all."""

    seed: int = Field(default=1, ge=0)
    """Seed of everything random in the generated corpus."""


CorpusSettings = Annotated[
    IemocapCorpus | EmodbCorpus | CsvCorpus | DemoCorpus, Field(discriminator="reader")
]


class LabelSettings(Settings):
    """The study's classes, and the part of the corpus that they are taken from."""

    classes: dict[Name, list[str]] = Field(min_length=2)
    """Each class of the study and the corpus labels that it gathers: {happiness: [hap, exc]}."""

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

    def class_of(self) -> dict[str, str]:
        """The class of each of the corpus's labels that is in one."""
        return {label: name for name, labels in self.classes.items() for label in labels}


class AuditSettings(Settings):
    """What an audit must know of the study."""

    unit: Literal["session", "speaker", "corpus", "file"]
    """What folds keep together, at the least; file: whatever a table says."""

    tested: list[str] = Field(default_factory=list)
    """The units that are tested; empty: all."""

    exclude: list[str] = Field(default_factory=list)
    """`labels.exclude`."""

    @property
    def column(self) -> str:
        """Column of the utterance table that holds the unit; of a table's folds, the speaker."""
        return "speaker" if self.unit == "file" else self.unit

    def tests(self, *units: str) -> bool:
        """Whether some fold certainly tests one of these units, and not all of them together."""
        return self.unit != "file" and (not self.tested or bool({*units} & {*self.tested}))
