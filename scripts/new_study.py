"""Write the configuration of a study of a folder of recordings.

A copy of a published corpus is recognised. In an unknown folder, the speaker and the emotion are
looked for in the names of files and folders and in tables; what is in doubt is asked. The
configuration states what it is based on. No audio is opened, nothing is written into FOLDER.
"""

import csv
import importlib.util
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import jinja2
import yaml

from emoscale.config.corpus import AudformatCorpus, CsvCorpus, ReleaseCorpus
from emoscale.corpus.files import audio_files
from emoscale.corpus.folder_metadata import (
    Candidate,
    candidates,
    emotion_candidates,
    emotion_class,
    speaker_candidates,
    transcript_candidate,
)
from emoscale.corpus.metadata_rows import REQUIRED_COLUMNS
from emoscale.corpus.readers import CorpusManifest, corpus_name, read_corpus
from emoscale.corpus.recognition import Match, matching_releases
from emoscale.protocol.proposal import Proposal, propose
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import UserError

Corpus = ReleaseCorpus | CsvCorpus | AudformatCorpus

TEMPLATE = """\
# Emotion in {{ name }}: {{ utterances }} utterances of {{ speakers }} speakers.
{%- for note in notes %}
# - {{ note }}
{%- endfor %}
#
#   .venv/bin/snakemake --cores 2 --configfile {{ path }}
study: {{ study }}
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
    study = name or re.sub(r"[^A-Za-z0-9_-]+", "_", folder.resolve().name).strip("_-") or "study"
    output = output or Path("config") / f"{study}.yaml"
    if output.exists():
        raise UserError(f"{output} exists; name another file with --output, or remove it")
    notes: list[str] = []
    corpus = _settings(folder, label, output.with_suffix(".csv"), yes, notes)
    manifest = read_corpus(corpus)
    is_release = isinstance(corpus, ReleaseCorpus)
    proposal = propose(manifest.utterances, _class_in_release if is_release else emotion_class)
    notes += _doubts(manifest)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(_configuration(study, output, corpus, manifest, proposal, notes))
    _print_summary(corpus, manifest, proposal, notes)
    click.echo(f"\nwritten: {output}. Look through it, then run\n")
    click.echo(f"  .venv/bin/snakemake --cores 2 --configfile {output}")


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
    table_in_folder = folder / "utterances.csv"
    if table_in_folder.is_file():
        with open(table_in_folder, encoding="utf-8-sig", newline="") as stream:
            if {*REQUIRED_COLUMNS} <= {*next(csv.reader(stream), [])}:
                notes.append("described by its table utterances.csv")
                return CsvCorpus(reader="csv", root=root)
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
    """Why a folder is not taken as a copy of a corpus that it has some utterances of."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in match.rejected.items())
    return (
        f"not {match.release.name}: {len(match.manifest.utterances):,} recordings are named as its "
        f"utterances; others: {reasons}"
    )


def _csv_settings(folder: Path, table: Path, yes: bool, notes: list[str]) -> CsvCorpus:
    """Return settings of an unknown folder; write its table beside the configuration."""
    files = list(audio_files(folder, CorpusManifest("csv")))
    if not files and any(folder.rglob("*.parquet")):
        raise UserError(
            f"{folder} holds Parquet files; unpack them first: "
            f".venv/bin/python scripts/unpack_parquet.py {folder}"
        )
    if not files:
        raise UserError(f"{folder} has no recording; name a folder of WAV, FLAC or other audio")
    listed = candidates(folder, files)
    advice = (
        f"write {folder}/utterances.csv with the columns file, speaker and emotion "
        "(docs/tutorials/own-corpus.md)"
    )
    emotion = _choose("emotion", emotion_candidates(listed), listed, yes, advice, notes)
    speaker = _choose("speaker", speaker_candidates(listed, emotion), listed, yes, advice, notes)
    transcript = transcript_candidate(listed)
    if transcript:
        notes.append(f"transcript: {transcript.description}")
    table.parent.mkdir(parents=True, exist_ok=True)
    with open(table, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "speaker", "emotion", "transcript"])
        texts = transcript.values if transcript else [""] * len(files)
        writer.writerows(zip(files, speaker.values, emotion.values, texts, strict=True))
    return CsvCorpus(reader="csv", root=str(folder.resolve()), table=str(table.resolve()))


def _choose(
    what: str,
    likely: Sequence[Candidate],
    listed: Sequence[Candidate],
    yes: bool,
    advice: str,
    notes: list[str],
) -> Candidate:
    """Return the likeliest candidate, or the one that the user names where several are likely."""
    if yes or (len(likely) == 1):
        if not likely:
            raise UserError(f"no part of the names and no table gives the {what}; {advice}")
        chosen = likely[0]
        others = f" (or {', '.join(each.description for each in likely[1:4])})" * (len(likely) > 1)
        notes.append(f"{what}: {chosen}{others}")
        return chosen
    options = list(likely) or list(listed)
    if not options:
        raise UserError(f"no part of the names and no table gives the {what}; {advice}")
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
        path=output,
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
        f"  {protocol.folds} folds: {_PROTOCOL_NOTES[protocol.fold_unit]}; training sizes "
        f"{', '.join(map(str, proposal.sizes))} and all"
    )


if __name__ == "__main__":
    main()
