"""Write the configuration of a study of a folder of recordings.

A copy of a published corpus is recognised. In an unknown folder, the speaker and the emotion are
looked for in the names of files and folders and in tables; what is in doubt is asked. The
configuration states what it is based on. No audio is opened, nothing is written into FOLDER.
"""

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
from emoscale.corpus.files import corpus_files
from emoscale.corpus.folder_corpus import Corpus, FolderCorpus
from emoscale.corpus.folder_metadata import emotion_class
from emoscale.corpus.readers import (
    CorpusManifest,
    corpus_name,
    external_link_target,
    read_corpus,
)
from emoscale.protocol.proposal import Proposal, class_names, propose
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import UserError, one_line

TEMPLATE = """\
# Emotion in {{ name }}: {{ utterances }} utterances of {{ speakers }} speakers.
{%- for note in notes %}
# - {{ note | line }}
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
@click.option("--yes", is_flag=True, help="Ask nothing: take what is likeliest, if anything is.")
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
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()
    except OSError as error:
        raise UserError(f"--output {output} cannot be written: {error.strerror}") from None
    corpus_in_folder = FolderCorpus(folder, table, ask=not yes)
    notes = corpus_in_folder.notes
    try:
        corpus = corpus_in_folder.settings(label)
        manifest = read_corpus(corpus)
        _leave_out_missing(manifest, Path(corpus.root), notes)
        if not table.exists():  # it has all recordings that can be used
            notes += _undescribed(manifest, Path(corpus.root))
        labels = {each.emotion for each in manifest.utterances}
        class_of = (
            class_names(labels).get if corpus_in_folder.all_labels_are_emotions else emotion_class
        )
        proposal = propose(manifest.utterances, class_of)
        notes += _doubts(manifest)
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


def _leave_out_missing(manifest: CorpusManifest, root: Path, notes: list[str]) -> None:
    """Leave out utterances without a recording, which the study would reject."""
    listed = {each.audio for each in manifest.utterances}
    existing = {
        name
        for name in listed
        if os.path.isfile(root / name)  # noqa: PTH113 - False for names that are too long
        and external_link_target(root / name, root) is None
    }
    if existing < listed:
        problem = (
            f"{len(listed - existing):,} recordings do not exist in {root}, or are links to files "
            f"outside (first: {min(listed - existing)})"
        )
        if not existing:
            raise UserError(f"{problem}; no other is described, so correct the paths")
        notes.append(f"not used: {problem}")
        manifest.utterances = [each for each in manifest.utterances if each.audio in existing]


def _undescribed(manifest: CorpusManifest, root: Path) -> list[str]:
    """Return a note on recordings that the metadata does not name."""
    others = {*corpus_files(root, CorpusManifest("csv"))}
    others -= {each.audio for each in manifest.utterances}
    others -= {name for row in manifest.rejected for name in (row.file, row.utterance)}
    if not others:
        return []
    first = min(others)
    return [
        f"not used: {len(others):,} recordings that are not listed as utterances (first: {first})"
    ]


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
    speakers = {each.speaker for each in manifest.utterances}
    if len({speaker.casefold() for speaker in speakers}) < len(speakers):
        notes.append("some speakers differ only in upper and lower case")
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
        f"  folds: {protocol.folds}; {_PROTOCOL_NOTES[protocol.fold_unit]}; training sizes: "
        f"{', '.join([*map(str, proposal.sizes), 'all'])}"
    )


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        click.echo(f"  {one_line(note)}")


if __name__ == "__main__":
    main()
