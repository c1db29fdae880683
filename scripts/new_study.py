"""Write the configuration of a study of a folder of recordings.

A copy of a published corpus is recognised. In an unknown folder, the speaker and the emotion are
looked for in the names of files and folders and in tables; what is in doubt is asked. The
configuration states what it is based on. No audio is opened, nothing is written into FOLDER.
"""

import csv
import importlib.util
import re
import shlex
from collections import Counter
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
from emoscale.corpus.readers import CorpusManifest, corpus_name, read_corpus
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
    {{ class }}: {{ labels | flow }}   # {{ counts[class] }} utterances
{%- endfor %}
{%- for label, reason in proposal.unused.items() %}
    # not used: {{ label }} ({{ reason }})
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
_NO_EMOTIONS = frozenset({"other", "no agreement", "hidden", "oth", "xxx"})
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
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        corpus = _settings(folder, label, table, yes, notes)
        manifest = read_corpus(corpus)
        is_release = isinstance(corpus, ReleaseCorpus)
        proposal = propose(manifest.utterances, _class_in_release if is_release else emotion_class)
        notes = [one_line(note) for note in notes + _doubts(manifest)]
        text = _configuration(study, output, corpus, manifest, proposal, notes)
        parse_study(yaml.safe_load(text))
    except BaseException:
        table.unlink(missing_ok=True)
        raise
    output.write_text(text, encoding="utf-8")
    _print_summary(corpus, manifest, proposal, notes)
    click.echo(f"\nwritten: {output}. Look through it, then run\n")
    click.echo(f"  {_command(output)}")


def _command(output: Path) -> str:
    return f".venv/bin/snakemake --cores 2 --configfile {shlex.quote(str(output))}"


def _settings(folder: Path, label: str | None, table: Path, yes: bool, notes: list[str]) -> Corpus:
    """Return settings of the corpus in a folder; add what they are based on to the notes."""
    root = str(folder.resolve())
    if (folder / "db.yaml").is_file():
        notes.append("described by db.yaml, in audformat")
        return AudformatCorpus(reader="audformat", root=root)
    matches = matching_releases(folder)
    copy = next((each for each in matches if each.is_copy), None)
    if copy is not None:
        notes.append(f"recognised as a copy of {copy.release.name}")
        return _release_settings(copy, label, yes)
    for each in matches:
        click.echo(_difference(each))
    return _csv_settings(folder, table, yes, notes)


def _release_settings(match: Match, label: str | None, yes: bool) -> ReleaseCorpus:
    labels = match.release.labels
    if labels and label is None:
        label = labels[0]
        if not yes:
            question = f"{match.release.name} has several labels for an utterance; use"
            label = click.prompt(question, type=click.Choice(labels), default=label)
    root = str(Path(match.settings.root).resolve())
    return ReleaseCorpus(reader=match.settings.reader, root=root, label=label)


def _class_in_release(label: str) -> str | None:
    """Return the class of a label of a published corpus, which need not be a known emotion."""
    return emotion_class(label) or (None if label in _NO_EMOTIONS else label.replace(" ", "_"))


def _difference(match: Match) -> str:
    """Return why a folder is not taken as a copy of a corpus that it has some utterances of."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in match.rejected.items())
    return (
        f"not {match.release.name}: {len(match.manifest.utterances):,} recordings are named as its "
        f"utterances; others: {reasons}"
    )


def _csv_settings(folder: Path, table: Path, yes: bool, notes: list[str]) -> CsvCorpus:
    """Return settings of an unknown folder; write its table, unless it has one with all columns."""
    root = str(folder.resolve())
    tables, unread = read_tables(folder)
    notes += unread
    described = next(
        (each for each in tables if each.path == "utterances.csv" and each.is_alone), None
    )
    if described is not None and {*REQUIRED_COLUMNS} <= described.rows[0].keys():
        notes.append("described by its table utterances.csv")
        return CsvCorpus(reader="csv", root=root)
    files = _recordings(folder, notes)
    listed = candidates(files, tables)
    advice = "; ".join(
        [
            f"write {folder}/utterances.csv with the columns file, speaker and emotion "
            "(docs/tutorials/own-corpus.md)",
            *unread[:3],
        ]
    )
    emotion = _choose("emotion", emotion_candidates(listed), listed, yes, advice, notes)
    likely = speaker_candidates(listed, emotion)
    if yes:
        likely = [each for each in likely if each.is_certain_speaker]
    speaker = _choose("speaker", likely, listed, yes, advice, notes)
    if emotion.table is not None:
        notes += _unused_rows(emotion.table, emotion)
    transcript = transcript_candidate(listed)
    if transcript:
        notes.append(f"transcript: {transcript.description}")
    is_complete = described is not None and "file" in described.rows[0]
    if is_complete and emotion.table is speaker.table is described:
        columns = {"speaker": speaker.column or "", "emotion": emotion.column or ""}
        if transcript and transcript.table is described:
            columns["transcript"] = transcript.column or ""
        columns = {key: name for key, name in columns.items() if key != name}
        return CsvCorpus(reader="csv", root=root, columns=columns)
    with open(table, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "speaker", "emotion", "transcript"])
        texts = transcript.values if transcript else [""] * len(files)
        writer.writerows(zip(files, speaker.values, emotion.values, texts, strict=True))
    return CsvCorpus(reader="csv", root=root, table=str(table.resolve()))


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
    is_certain = len(likely) == 1 and (what != "speaker" or likely[0].is_certain_speaker)
    options = list(likely) or list(listed)
    if not options or (yes and not likely):
        raise UserError(f"no part of the names and no table gives the {what}; {advice}")
    if yes or is_certain:
        others = f" (or {', '.join(each.description for each in likely[1:4])})" * (len(likely) > 1)
        notes.append(f"{what}: {likely[0]}{others}")
        return likely[0]
    click.echo(f"\nWhat is the {what}?")
    for number, each in enumerate(options, start=1):
        click.echo(f"  {number}: {each}")
    number = click.prompt("number", type=click.IntRange(1, len(options)), default=1)
    notes.append(f"{what}: {options[number - 1]}")
    return options[number - 1]


def _doubts(manifest: CorpusManifest) -> list[str]:
    reasons = Counter(row.reason for row in manifest.rejected)
    notes = [f"not used: {count:,} entries ({reason})" for reason, count in sorted(reasons.items())]
    notes += [row.detail for row in manifest.rejected if row.reason == "other counts"]
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
    environment.filters["flow"] = _flow
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
    return text.strip()


def _print_summary(
    corpus: Corpus, manifest: CorpusManifest, proposal: Proposal, notes: list[str]
) -> None:
    counts = Counter(each.emotion for each in manifest.utterances)
    click.echo(f"\n{corpus_name(corpus)}: {len(manifest.utterances):,} utterances")
    for name, labels in proposal.classes.items():
        numbers = ", ".join(f"{label} {counts[label]:,}" for label in labels)
        click.echo(f"  class {name}: {numbers}")
    for label, reason in proposal.unused.items():
        click.echo(f"  not used: {label} ({reason})")
    for note in notes:
        click.echo(f"  {note}")
    protocol = proposal.protocol
    click.echo(
        f"  {protocol.folds} folds: {_PROTOCOL_NOTES[protocol.fold_unit]}; training sizes: "
        f"{', '.join([*map(str, proposal.sizes), 'all'])}"
    )


if __name__ == "__main__":
    main()
