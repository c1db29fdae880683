"""Write the configuration of a study of a folder of recordings.

A copy of a published corpus is recognised. In an unknown folder, the speaker and the emotion are
looked for in the names of files and folders and in tables; what is in doubt is asked. The
configuration states what it is based on. No audio is opened, nothing is written into FOLDER.
"""

import csv
import importlib.util
import os
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import click
import jinja2
import yaml

from emoscale.config import parse_study
from emoscale.config.corpus import AudformatCorpus, CsvCorpus, ReleaseCorpus
from emoscale.corpus.files import corpus_files
from emoscale.corpus.folder_metadata import (
    Candidate,
    Table,
    candidates,
    emotion_candidates,
    emotion_class,
    read_tables,
    speaker_candidates,
    transcript_candidate,
)
from emoscale.corpus.metadata_rows import REQUIRED_COLUMNS
from emoscale.corpus.readers import (
    CorpusManifest,
    corpus_name,
    external_link_target,
    read_corpus,
)
from emoscale.corpus.recognition import Match, matching_releases
from emoscale.protocol.proposal import Proposal, propose
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import UserError, one_line

Corpus = ReleaseCorpus | CsvCorpus | AudformatCorpus

TEMPLATE = """\
# Emotion in {{ name }}: {{ utterances }} utterances of {{ speakers }} speakers.
{%- for note in notes %}
# - {{ note }}
{%- endfor %}
#
#   {{ command }}
study: {{ study | tojson }}
seed: 1

corpus: {{ corpus }}
shards: {{ shards }}

labels:
  classes:
{%- for class, labels in proposal.classes.items() %}
    {{ class | flow }}: {{ labels | flow }}   # {{ counts[class] }} utterances
{%- endfor %}
{%- for label, reason in proposal.unused.items() %}
    # not used: {{ label | line }} ({{ reason }})
{%- endfor %}

# Public weights are downloaded once. To compare them, remove the comment signs here and below.
# checkpoints:
#   wavlm_base_plus: {hub: microsoft/wavlm-base-plus, revision: main}
#   wav2vec2_base: {hub: facebook/wav2vec2-base, revision: main}

representations:
  mfcc: {kind: mfcc, coefficients: 40}
  logmel: {kind: logmel, mel_bands: 80}
  {{ opensmile }}egemaps: {kind: opensmile, feature_set: eGeMAPSv02, feature_level: functionals}
  # wavlm: {kind: transformers_audio, model: wavlm_base_plus, layer: 9}
  # wav2vec2: {kind: transformers_audio, model: wav2vec2_base, layer: 6}

protocol:
  fold_unit: {{ proposal.protocol.fold_unit }}   # {{ protocol_note }}
  folds: {{ proposal.protocol.folds }}
  development: {{ proposal.protocol.development }}
  repeats: {{ proposal.protocol.repeats }}

sizes: {{ (proposal.sizes + ["all"]) | flow }}   # all: {{ proposal.smallest_training_set }} or more

models:
  linear_svm: {kind: estimator, method: linear_svm}

experiments:
  mfcc: {representations: [mfcc], model: linear_svm}
  logmel: {representations: [logmel], model: linear_svm}
  {{ opensmile }}egemaps: {representations: [egemaps], model: linear_svm}
  # wavlm: {representations: [wavlm], model: linear_svm}
  # wav2vec2: {representations: [wav2vec2], model: linear_svm}

evidence: {reference: logmel}   # only the pairs with it are tested
"""
_STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_NO_EMOTIONS = frozenset({"other", "no agreement", "hidden", "oth", "xxx", "unknown", "nan"})
_TABLE = "utterances.csv"
_PROTOCOL_NOTES = {
    "session": "each fold tests one recording session",
    "speakers": "each fold tests speakers that are not in training",
    "official": "each fold tests an official test split, whose speakers are not in training",
}


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", help="Name of the study; default: that of the folder.")
@click.option("--label", help="Label of an utterance, where a published corpus has several.")
@click.option("--output", type=click.Path(path_type=Path), help="Default: config/NAME.yaml.")
@click.option("--yes", is_flag=True, help="Ask nothing: take what is likeliest.")
@report_user_errors
def main(folder: Path, name: str | None, label: str | None, output: Path | None, yes: bool) -> None:
    if not str(folder.resolve()).isprintable():
        raise UserError(f"{folder!r} has a character that cannot be printed; rename the folder")
    if name is not None and not _STUDY_NAME.fullmatch(name):
        raise UserError(f"--name {name}: use letters, digits, - and _ only")
    study = name or re.sub(r"[^A-Za-z0-9_-]+", "_", folder.resolve().name).strip("_-") or "study"
    output = output or Path("config") / f"{study}.yaml"
    if output.suffix not in (".yaml", ".yml"):
        raise UserError(f"--output {output}: name a file .yaml")
    table = output.with_suffix(".csv")
    for path in (output, table):
        if path.exists():
            raise UserError(f"{path} exists; name another file with --output, or remove it")
    notes: list[str] = []
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()
    except OSError as error:
        raise UserError(f"--output {output} cannot be written: {error.strerror}") from None
    try:
        corpus, are_emotions = _settings(folder, label, table, yes, notes)
        manifest = read_corpus(corpus)
        _leave_out_missing(manifest, Path(corpus.root), notes)
        class_of = _classes_by_name(manifest).get if are_emotions else emotion_class
        proposal = propose(manifest.utterances, class_of)
        notes = [one_line(note) for note in notes + _doubts(manifest)]
        text = _configuration(study, output, corpus, manifest, proposal, notes)
        parse_study(yaml.safe_load(text))
    except BaseException as error:
        output.unlink()
        table.unlink(missing_ok=True)
        if isinstance(error, UserError):
            _print_notes(notes)
        raise
    output.write_text(text, encoding="utf-8")
    _print_summary(corpus, manifest, proposal, notes)
    click.echo(f"\nwritten: {output}. Look through it, then run\n")
    click.echo(f"  {_command(output)}")


def _command(output: Path) -> str:
    return f".venv/bin/snakemake --cores 2 --configfile {shlex.quote(str(output))}"


def _settings(
    folder: Path, label: str | None, table: Path, yes: bool, notes: list[str]
) -> tuple[Corpus, bool]:
    """Return settings of the corpus in a folder, and whether each label is a class by itself.

    What they are based on is added to the notes.
    """
    root = str(folder.resolve())
    tables, unread = read_tables(folder)
    notes += unread
    for note in unread:
        if note.startswith(_TABLE):
            raise UserError(note)
    matches = matching_releases(folder)
    copy = next((each for each in matches if each.is_copy), None)
    described = next((each for each in tables if each.path == _TABLE), None)
    if copy is not None and copy.is_complete:
        notes.append(f"recognised as a complete copy of {copy.release.name}")
        if described is not None:
            notes.append(f"its table {_TABLE} is read with corpus: {{reader: csv, root: …}}")
        return _release_settings(copy, label, yes), True
    if described is not None and {*REQUIRED_COLUMNS} <= described.rows[0].keys():
        notes.append(f"described by its table {_TABLE}")
        return CsvCorpus(reader="csv", root=root), True
    if _is_audformat(folder / "db.yaml", notes):
        notes.append("described by db.yaml, in audformat")
        return AudformatCorpus(reader="audformat", root=root), True
    if copy is not None and (yes or _is_confirmed(copy)):
        notes.append(f"recognised as a copy of {copy.release.name}")
        return _release_settings(copy, label, yes), True
    for each in matches:
        click.echo(_difference(each))
    return _csv_settings(folder, tables, described, table, yes, notes)


def _is_audformat(header: Path, notes: list[str]) -> bool:
    """Whether a file is the header of a database, which states its usage; others have this name."""
    if not header.is_file():
        return False
    if re.search(r"^\s*usage:", header.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
        return True
    notes.append(f"{header.name} is not read: without usage, it is not in audformat")
    return False


def _is_confirmed(match: Match) -> bool:
    """Ask whether a folder with other counts than a corpus is a copy of it."""
    differences = [row for row in match.manifest.rejected if row.reason == "other counts"]
    for row in differences:
        click.echo(row.detail)
    return not differences or click.confirm(f"Is this a copy of {match.release.name}?", None)


def _release_settings(match: Match, label: str | None, yes: bool) -> ReleaseCorpus:
    labels = match.release.labels
    if labels and label is None:
        label = labels[0]
        if not yes:
            question = f"{match.release.name} has several labels for an utterance; use"
            label = click.prompt(question, type=click.Choice(labels), default=label)
    root = str(Path(match.settings.root).resolve())
    return ReleaseCorpus(reader=match.settings.reader, root=root, label=label)


def _classes_by_name(manifest: CorpusManifest) -> dict[str, str]:
    """Class of each label of a described corpus, which need not be an emotion known by name."""
    class_of = {}
    labels = sorted({each.emotion for each in manifest.utterances})
    for number, label in enumerate(labels, start=1):
        if label.casefold() not in _NO_EMOTIONS:
            name = re.sub(r"[^A-Za-z0-9_-]+", "_", label).strip("_-")[:64]
            class_of[label] = emotion_class(label) or name or f"class{number}"
    return class_of


def _leave_out_missing(manifest: CorpusManifest, root: Path, notes: list[str]) -> None:
    """Leave out utterances without a recording, which the study would reject."""
    existing = [
        each
        for each in manifest.utterances
        if os.path.isfile(root / each.audio)  # noqa: PTH113 - False for names that are too long
        and external_link_target(root / each.audio, root) is None
    ]
    missing = {each.audio for each in manifest.utterances} - {each.audio for each in existing}
    if not missing:
        return
    problem = f"{len(missing):,} recordings do not exist in {root} (first: {min(missing)})"
    if not existing:
        raise UserError(f"{problem}, and no other is described; correct their paths")
    notes.append(f"not used: {problem}")
    manifest.utterances = existing


def _difference(match: Match) -> str:
    """Return why a folder is not taken as a copy of a corpus that it has some utterances of."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in match.rejected.items())
    return (
        f"not {match.release.name}: {len(match.manifest.utterances):,} recordings are named as its "
        f"utterances; others: {reasons}"
    )


def _csv_settings(
    folder: Path,
    tables: Sequence[Table],
    described: Table | None,
    table: Path,
    yes: bool,
    notes: list[str],
) -> tuple[CsvCorpus, bool]:
    """Return settings of an unknown folder, and whether each label is a class by itself.

    The table is written, unless the folder has one with all columns.
    """
    root = str(folder.resolve())
    files = _recordings(folder, notes)
    listed = candidates(files, tables)
    advice = (
        f"write {folder}/{_TABLE} with the columns file, speaker and emotion "
        "(docs/tutorials/own-corpus.md)"
    )
    emotions = emotion_candidates(listed)
    emotion = _choose("emotion", emotions, listed, yes, advice, notes)
    are_emotions = emotion.column is not None or emotion not in emotions
    speakers = speaker_candidates(listed, emotion)
    speaker = _choose("speaker", speakers, listed, yes, advice, notes)
    if emotion.table is not None:
        notes += _unused_rows(emotion.table, emotion)
    transcript = transcript_candidate(listed)
    if transcript:
        notes.append(f"transcript: {transcript.description}")
    if (
        described is not None
        and _names_files(described, files)
        and (emotion.table is speaker.table is described)
    ):
        columns = {"speaker": speaker.column or "", "emotion": emotion.column or ""}
        if transcript and transcript.table is described:
            columns["transcript"] = transcript.column or ""
        columns = {key: name for key, name in columns.items() if key != name}
        return CsvCorpus(reader="csv", root=root, columns=columns), are_emotions
    with open(table, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "speaker", "emotion", "transcript"])
        texts = transcript.values if transcript else [""] * len(files)
        writer.writerows(zip(files, speaker.values, emotion.values, texts, strict=True))
    return CsvCorpus(reader="csv", root=root, table=str(table.resolve())), are_emotions


def _names_files(table: Table, files: Sequence[str]) -> bool:
    """Whether most rows of a single table have the path of a recording in the column file."""
    known = {*files}
    named = sum(row.get("file") in known for row in table.rows)
    return table.is_alone and named > len(table.rows) / 2


def _unused_rows(table: Table, emotion: Candidate) -> list[str]:
    """Return a note on rows that give no recording its emotion, such as segments of one file."""
    unused = sum(bool(row.get(emotion.column or "")) for row in table.rows)
    unused -= sum(map(bool, emotion.values))
    if not unused:
        return []
    return [
        f"not used: {unused:,} rows of {table.path}, which name no recording, or one that another "
        "row names; a table with start and end is read as utterances.csv"
    ]


def _recordings(folder: Path, notes: list[str]) -> list[str]:
    files = []
    for name in corpus_files(folder, CorpusManifest("csv")):
        if name.isprintable():
            files.append(name)
        else:
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            notes.append(f"not used: the name {shown!r} is not printable UTF-8; rename it")
    if not files and any(folder.rglob("*.parquet")):
        raise UserError(
            f"{folder} holds Parquet files; unpack them first: "
            f".venv/bin/python scripts/unpack_parquet.py {shlex.quote(str(folder))}"
        )
    if not files:
        raise UserError(f"{folder} has no recording; name a folder of WAV, FLAC or other audio")
    return files


def _choose(
    what: str,
    likely: Sequence[Candidate],
    listed: Sequence[Candidate],
    yes: bool,
    advice: str,
    notes: list[str],
) -> Candidate:
    """Return the likeliest candidate, or the one that the user names where there is a doubt."""
    certain = [each for each in likely if what != "speaker" or each.is_certain_speaker]
    options = list(likely) or list(listed)
    if not options or (yes and not certain):
        names = " or ".join(each.description for each in likely[:3])
        choice = f"; it may be {names}: choose without --yes, or" if names else ";"
        raise UserError(
            f"no part of the names and no table certainly gives the {what}{choice} {advice}"
        )
    if certain and (yes or len(likely) == 1):
        others = f" (or {', '.join(each.description for each in likely[1:4])})" * (len(likely) > 1)
        notes.append(f"{what}: {certain[0]}{others}")
        return certain[0]
    click.echo(f"\nWhat is the {what}?")
    for number, each in enumerate(options, start=1):
        click.echo(f"  {number}: {each}")
    click.echo("  0: none of these")
    number = click.prompt("number", type=click.IntRange(0, len(options)), default=1)
    if number == 0:
        raise UserError(advice)
    notes.append(f"{what}: {options[number - 1]}")
    return options[number - 1]


def _doubts(manifest: CorpusManifest) -> list[str]:
    details: dict[str, list[str]] = defaultdict(list)
    for row in manifest.rejected:
        details[row.reason].append(row.detail)
    notes = [
        rows[0] if len(rows) == 1 else f"not used: {len(rows):,} entries ({reason}: {rows[0]} …)"
        for reason, rows in sorted(details.items())
    ]
    labels = {each.emotion for each in manifest.utterances}
    if {"exc", "hap"} <= labels:
        notes.append("happiness and excitement are often one class: happiness: [hap, exc]")
    return notes


def _configuration(
    study: str,
    output: Path,
    corpus: Corpus,
    manifest: CorpusManifest,
    proposal: Proposal,
    notes: list[str],
) -> str:
    class_of = {label: name for name, labels in proposal.classes.items() for label in labels}
    counts = Counter(class_of.get(each.emotion) for each in manifest.utterances)
    environment = jinja2.Environment(keep_trailing_newline=True, autoescape=False)
    environment.filters |= {"flow": _flow, "line": one_line}
    settings = corpus.model_dump(mode="json", exclude_defaults=True)
    return environment.from_string(TEMPLATE).render(
        name=corpus_name(corpus),
        utterances=f"{len(manifest.utterances):,}",
        speakers=f"{len({each.speaker for each in manifest.utterances}):,}",
        notes=notes,
        command=_command(output),
        study=study,
        corpus=_flow({"reader": corpus.reader, **settings}),
        shards=min(64, -(-len(manifest.utterances) // 500)),
        proposal=proposal,
        counts=counts,
        protocol_note=_PROTOCOL_NOTES[proposal.protocol.fold_unit],
        opensmile="" if importlib.util.find_spec("opensmile") else "# ",
    )


def _flow(value: object) -> str:
    """Return a value in YAML, in one line."""
    text: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6
    )
    return text.removesuffix("...\n").strip()


def _print_summary(
    corpus: Corpus, manifest: CorpusManifest, proposal: Proposal, notes: list[str]
) -> None:
    counts = Counter(each.emotion for each in manifest.utterances)
    click.echo(f"\n{corpus_name(corpus)}: {len(manifest.utterances):,} utterances")
    for name, labels in proposal.classes.items():
        numbers = ", ".join(f"{one_line(label)} {counts[label]:,}" for label in labels)
        click.echo(f"  class {name}: {numbers}")
    for label, reason in proposal.unused.items():
        click.echo(f"  not used: {one_line(label)} ({reason})")
    _print_notes(notes)
    protocol = proposal.protocol
    click.echo(
        f"  {protocol.folds} folds: {_PROTOCOL_NOTES[protocol.fold_unit]}; training sizes: "
        f"{', '.join([*map(str, proposal.sizes), 'all'])}"
    )


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        click.echo(f"  {one_line(note)}")


if __name__ == "__main__":
    main()
