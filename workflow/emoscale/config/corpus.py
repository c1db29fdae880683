"""Settings of the corpus, of its reader, and of the classes that its labels belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from emoscale.config.settings import DisplayName, Name, OutputFolder, Settings, UserPath

CORPUS_SEPARATOR = ":"
"""Separates the name of one of several corpora from a key or label of that corpus:
emodb:03a01Fa."""


class AudioChecks(Settings):
    """Checks of each recording; those that fail are listed in `corpus/rejected.csv`."""

    renamed: ClassVar[Mapping[str, str]] = {
        "silence_peak": "minimum_peak",
        "largest_peak": "maximum_peak",
    }

    minimum_seconds: float = Field(default=0.1, ge=0.03)
    """Shorter utterances are rejected, because every representation needs at least one frame."""

    minimum_peak: float = Field(default=1e-4, ge=0.0, lt=1.0)
    """An utterance whose largest absolute sample (full scale 1) is not above this is rejected as
    silent."""

    maximum_peak: float = Field(default=1e6, ge=1.0)
    """An utterance with a larger absolute sample (full scale 1) is rejected as damaged. The default
    accepts float files in units of 16 bits (up to 32,768)."""


class NamedCorpus(Settings):
    """Base class of the settings of a corpus."""

    name: DisplayName | None = None
    """Name in tables, figures and the report, such as nEMO. null: that of the published corpus,
    demo, the name of the folder (csv, audformat), or the names under `corpora` (several). A change
    of the name reads and trains nothing again."""


RELEASES = tuple(
    sorted(
        file.stem
        for file in (Path(__file__).parent.parent / "corpus" / "releases").glob("[a-z]*.py")
    )
)
"""Published corpora that have a reader: the modules of `emoscale.corpus.releases`."""

if TYPE_CHECKING:
    ReleaseName = str
else:
    ReleaseName = Literal[RELEASES]


class ReleaseCorpus(NamedCorpus):
    """A published corpus, in the layout of its release or of its usual copies."""

    reader: ReleaseName
    """The corpus."""

    root: UserPath
    """Folder of the copy, such as the one that holds Session1 … Session5 of IEMOCAP."""

    label: str | None = None
    """The label of an utterance, where the corpus has several: of CREMA-D acted, voice, face or
    both, of Emozionalmente acted or perceived. Required there; every table names it."""


class CsvCorpus(NamedCorpus):
    """A folder of recordings with a table that has the columns file, speaker and emotion."""

    reader: Literal["csv"]

    root: UserPath
    """Folder to which the table's file names are relative."""

    table: UserPath = "utterances.csv"
    """Path of the table, relative to `root`; commas, semicolons or tabs separate its fields."""

    columns: dict[str, str] = Field(default_factory=dict)
    """Column names of the table that differ from the expected ones: {speaker: spk_id}."""

    emotions: list[str] | None = None
    """All labels of the corpus; a row or vote with another label is rejected. null: any label is
    accepted."""

    votes: UserPath | None = None
    """Path of a table of the raters' votes, relative to `root`, with the columns utterance, rater
    and label. With it, or with `vote_columns`, `training.targets` may be votes."""

    vote_columns: dict[str, str] = Field(default_factory=dict)
    """Where `table` has the number of votes for each label: the column of each label,
    {anger: n_anger, neutral: n_neutral}."""

    @model_validator(mode="after")
    def _check_votes(self) -> CsvCorpus:
        if self.votes is not None and self.vote_columns:
            raise ValueError("votes and vote_columns are both set; remove one")
        unknown = sorted({*self.vote_columns} - {*(self.emotions or self.vote_columns)})
        if unknown:
            raise ValueError(
                f"vote_columns has the label {unknown[0]}, which is not listed under emotions; add "
                "it there, or correct it"
            )
        return self


class AudformatCorpus(NamedCorpus):
    """A database in audEERING's audformat; requires the package audformat."""

    reader: Literal["audformat"]

    root: UserPath
    """Folder that contains db.yaml."""

    columns: dict[str, str] = Field(default_factory=dict)
    """Scheme, column, or label of a scheme that gives each column of the utterance table:
    {emotion: emotion_category}. Defaults: that of the same name; sex: gender; transcript:
    transcription."""

    tables: list[str] | None = Field(default=None, min_length=1)
    """Tables that are searched for the emotion and for the official split; the others are searched
    for all other columns. null: all tables except `votes`."""

    votes: str | None = None
    """Table with a column of emotions for each rater. With it, `training.targets` may be votes."""


class DemoCorpus(NamedCorpus):
    """A synthetic corpus in the layout of IEMOCAP, generated before it is read."""

    renamed: ClassVar[Mapping[str, str]] = {"utterances": "utterances_per_session"}

    reader: Literal["demo"]

    root: OutputFolder
    """Folder that the corpus is generated in; it must be inside `results`."""

    sessions: int = Field(default=5, ge=2, le=9)
    """Number of recording sessions, each with two speakers, a woman and a man."""

    utterances_per_session: int = Field(default=180, ge=24, le=5000)
    """Utterances in each session, without the few that are made faulty on purpose."""

    expressiveness: float = Field(default=1.0, ge=0.0, le=3.0)
    """Size of the effect of emotion on the voice, relative to the differences between speakers; 0:
    none."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of the generated corpus."""


SingleCorpus = Annotated[
    ReleaseCorpus | CsvCorpus | AudformatCorpus | DemoCorpus, Field(discriminator="reader")
]


class SeveralCorpora(NamedCorpus):
    """Several corpora read as one, for training on some and testing on another."""

    reader: Literal["several"]

    root: UserPath
    """Folder that contains all of them."""

    corpora: dict[Name, SingleCorpus] = Field(min_length=2)
    """The corpora by name, each with its `root` relative to the common one. The name becomes a
    prefix of utterances, speakers, sessions and dialogs (emodb:03a01Fa)."""

    @field_validator("corpora", mode="before")
    @classmethod
    def _check_readers(cls, corpora: Any) -> Any:
        for name, corpus in corpora.items() if isinstance(corpora, dict) else ():
            reader = corpus.get("reader") if isinstance(corpus, dict) else None
            if reader == "several":
                raise ValueError(
                    f"{name} has the reader {reader}, which several does not accept; use "
                    "csv, audformat, demo or a published corpus"
                )
        return corpora

    @model_validator(mode="after")
    def _check_roots(self) -> SeveralCorpora:
        for name, corpus in self.corpora.items():
            path = PurePath(corpus.root)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(
                    f"the root of {name} ({corpus.root}) must be a path relative to corpus.root "
                    "and inside it; set corpus.root to a folder that contains all corpora"
                )
        return self

    def within(self) -> dict[str, SingleCorpus]:
        """Return the corpora by name, each with its full path as `root`."""
        return {
            name: corpus.model_copy(update={"root": str(PurePath(self.root, corpus.root))})
            for name, corpus in self.corpora.items()
        }


CorpusSettings = Annotated[
    ReleaseCorpus | CsvCorpus | AudformatCorpus | DemoCorpus | SeveralCorpora,
    Field(discriminator="reader"),
]


def parts_of(corpus: CorpusSettings) -> list[SingleCorpus]:
    """Return the single corpora that a corpus consists of.

    Parameters
    ----------
    corpus : CorpusSettings
        A study's corpus.

    Returns
    -------
    list
        The corpora under `corpora`, with full paths, or the corpus itself.
    """
    return list(corpus.within().values()) if isinstance(corpus, SeveralCorpora) else [corpus]


def generated_part(corpus: CorpusSettings) -> DemoCorpus | None:
    """Return the corpus, or the part of it, that is generated before it is read.

    Parameters
    ----------
    corpus : CorpusSettings
        A study's corpus.

    Returns
    -------
    DemoCorpus or None
        With its full path; None: all parts exist.
    """
    return next((part for part in parts_of(corpus) if isinstance(part, DemoCorpus)), None)


class LabelSettings(Settings):
    """The classes of the study, and the part of the corpus that it uses."""

    classes: dict[Name, list[str]] = Field(min_length=2)
    """The corpus labels of each class: {happiness: [hap, exc]}. With several corpora, a label may
    be limited to one of them: emodb:happiness. Utterances with other labels are not used."""

    styles: list[Literal["improvised", "scripted"]] | None = Field(default=None, min_length=1)
    """Speaking styles that are used; null: all."""

    exclude: list[str] = Field(default_factory=list)
    """Keys of utterances that are not used, such as the second copy of a recording that the audit
    found twice."""

    @model_validator(mode="after")
    def _check_labels(self) -> LabelSettings:
        class_of: dict[str, str] = {}
        for name, labels in self.classes.items():
            if not labels:
                raise ValueError(f"class {name} has no label; list at least one")
            for label in labels:
                if label in class_of:
                    raise ValueError(
                        f"label {label} is in the classes {class_of[label]} and {name}; "
                        "keep it in one of them"
                    )
                class_of[label] = name
        twice = sorted({key for key in self.exclude if self.exclude.count(key) > 1})
        if twice:
            raise ValueError(f"exclude lists {twice[0]} twice; keep one")
        return self

    def class_of(self, corpus: str) -> dict[str, str]:
        """Return the class of each label of a corpus.

        A label that is limited to this corpus takes precedence over one for all corpora.

        Parameters
        ----------
        corpus : str
            Name of the corpus.

        Returns
        -------
        dict
            Class by label, for the labels that belong to a class.

        Examples
        --------
        >>> classes = {"joy": ["joy", "b:up"], "anger": ["up", "anger"]}
        >>> settings = LabelSettings(classes=classes)
        >>> settings.class_of("a")["up"], settings.class_of("b")["up"]
        ('anger', 'joy')
        """
        class_of = {label: name for name, labels in self.classes.items() for label in labels}
        prefix = f"{corpus}{CORPUS_SEPARATOR}"
        return class_of | {
            label.removeprefix(prefix): name
            for label, name in class_of.items()
            if label.startswith(prefix)
        }


class AuditSettings(Settings):
    """Settings of the study that the audit of the corpus depends on."""

    unit: Literal["session", "speaker", "corpus", "file"]
    """Unit that the folds keep together; file: defined by a table or the official split."""

    test_units: list[str] = Field(default_factory=list)
    """Units that are tested; empty: all."""

    exclude: list[str] = Field(default_factory=list)
    """`labels.exclude`."""

    @property
    def column(self) -> str:
        """Column of the utterance table with the unit; for `file`, the speaker."""
        return "speaker" if self.unit == "file" else self.unit

    def tests(self, *units: str) -> bool:
        """Return whether some fold is certain to test one of these units but not all of them.

        Parameters
        ----------
        *units : str
            Names of units.

        Returns
        -------
        bool
            False for folds that a table gives.
        """
        return self.unit != "file" and (not self.test_units or bool({*units} & {*self.test_units}))
