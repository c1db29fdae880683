"""Predict the emotions of new recordings with a trained MODEL.

MODEL is the folder of a run: results/<study>/runs/<experiment>/<fold>/<size>. FILES are recordings,
or folders that are searched for recordings.
"""

import os
import sys
from pathlib import Path

import click
import polars as pl
import torch
from rich.console import Console
from rich.table import Table

from emoscale.config.models import AlignedFusionSettings
from emoscale.prediction.features import FeatureExtractor, locate_checkpoints
from emoscale.prediction.predictions import predict
from emoscale.prediction.recordings import SkippedRecording, find_recordings, read_list
from emoscale.prediction.speakers import speakers_for
from emoscale.prediction.tables import (
    check_format,
    check_submission,
    write_predictions,
    write_submission,
)
from emoscale.prediction.transcripts import Transcripts
from emoscale.runtime.command import computing_options, report_user_errors
from emoscale.runtime.devices import choose_device
from emoscale.runtime.errors import CheckpointError, CorpusError, UserError
from emoscale.runtime.memory import explain_out_of_memory
from emoscale.training.saved_run import read_run


@click.command(help=__doc__)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--list",
    "list_file",
    type=click.Path(path_type=Path),
    help="Text file with one path per line, of recordings or folders.",
)
@click.option(
    "--repeat",
    type=int,
    help="Number of the only repeat of the run to use, from 0.  [default: the mean of all repeats]",
)
@click.option(
    "--transcripts",
    type=click.Path(path_type=Path),
    help="For models that read text: a table (.csv, .tsv) with the columns file and transcript.  "
    "[default: a .txt file next to each recording]",
)
@click.option(
    "--speakers",
    type=click.Path(path_type=Path),
    help="For models that normalise by speaker: a table (.csv, .tsv) with the columns file and "
    "speaker.",
)
@click.option(
    "--one-speaker",
    is_flag=True,
    help="For models that normalise by speaker: all recordings are of one speaker.",
)
@click.option(
    "--segment-seconds",
    type=click.FloatRange(min=1.0),
    default=30.0,
    show_default=True,
    help="Maximum length in seconds; longer recordings are split into segments of equal length.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File to write: .csv, .json or .parquet.  [default: a table on the terminal]",
)
@click.option(
    "--challenge",
    is_flag=True,
    help="Write only the columns FileName and EmoClass, as the MSP-Podcast challenges ask for.",
)
@click.option(
    "--weights",
    multiple=True,
    metavar="NAME=PATH",
    help="Path of the pre-trained weights that the model names so, if they are not in the cache.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Cache folder of pre-trained weights.  [default: the study's]",
)
@click.option(
    "--download", is_flag=True, help="Download pre-trained weights that are not in the cache."
)
@click.option(
    "--trust",
    multiple=True,
    metavar="KIND",
    help="Allow the code of this kind of representation, from outside the project, to run.",
)
@computing_options
@report_user_errors
def main(
    model: Path,
    files: tuple[Path, ...],
    list_file: Path | None,
    repeat: int | None,
    transcripts: Path | None,
    speakers: Path | None,
    one_speaker: bool,
    segment_seconds: float,
    output: Path | None,
    challenge: bool,
    weights: tuple[str, ...],
    cache: Path | None,
    download: bool,
    trust: tuple[str, ...],
    device: str,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    if not download:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if output is not None:
        check_format(output)
    run = read_run(model)
    if challenge:
        check_submission(run.classes, output)
    repeats = run.repeats if repeat is None else [run.repeat(repeat)]
    if not files and list_file is None:
        raise CorpusError("no recordings; name files or folders, or a text file with --list")
    recordings = find_recordings([*files, *(read_list(list_file) if list_file else [])])
    transcript_source = Transcripts(transcripts)
    speaker_source = speakers_for(run, speakers, one_speaker)
    paths = dict(_name_and_path(option) for option in weights)
    checkpoints = locate_checkpoints(run, paths, cache, download)
    extractor = FeatureExtractor(run, checkpoints, choose_device(device), trust)
    skipped: list[SkippedRecording] = []

    def report_skipped(recording: SkippedRecording) -> None:
        skipped.append(recording)
        click.echo(f"skipped: {recording.message}", err=True)

    models = [repeat.model for repeat in repeats]
    if any(isinstance(model, AlignedFusionSettings) and model.within_word for model in models):
        click.echo(
            "note: in training, the attention of each token was restricted to the frames of its "
            "word; the times of words in these recordings are unknown, so it is not restricted",
            err=True,
        )
    with explain_out_of_memory(
        run.name,
        lambda on_gpu: (
            f"lower --segment-seconds ({segment_seconds:g} s), or name fewer recordings at a time"
            + ("; or use --device cpu" if on_gpu else "")
        ),
    ):
        table = predict(
            run,
            repeats,
            extractor,
            recordings,
            transcript_source,
            segment_seconds,
            report_skipped,
            speaker_source,
        )
    if not len(table):
        raise UserError(f"none of {len(recordings)} recordings could be predicted")
    click.echo(_model_summary(run.name, table), err=output is not None)
    if output is None:
        _print_table(table, run.classes)
    else:
        if challenge:
            write_submission(table, output)
        else:
            write_predictions(table, run.classes, output)
        click.echo(f"predictions: {output}")
    if skipped:
        click.echo(f"{len(skipped)} skipped, see above", err=True)
        sys.exit(1)


def _name_and_path(option: str) -> tuple[str, Path]:
    name, _, path = option.rpartition("=")
    if not name or not path:
        raise CheckpointError(f"--weights {option}: write NAME=PATH")
    return name, Path(path).expanduser()


def _model_summary(name: str, table: pl.DataFrame) -> str:
    repeats = table["repeats"][0].split(", ")
    summary = f"mean of {len(repeats)} repeats" if len(repeats) > 1 else f"repeat {repeats[0]}"
    if table["pretrained_weights"][0]:
        summary += f"; weights: {table['pretrained_weights'][0]}"
    return f"{name}: {summary}"


def _print_table(table: pl.DataFrame, classes: list[str]) -> None:
    printed = Table()
    printed.add_column("file", overflow="fold")
    printed.add_column("seconds", justify="right")
    printed.add_column("predicted")
    for name in classes:
        printed.add_column(name, justify="right")
    for row in table.iter_rows(named=True):
        is_recording = row["segment"] is None
        printed.add_row(
            row["file"] if is_recording else "",
            f"{row['seconds']:.1f}" if is_recording else f"{row['start']:.1f}–{row['end']:.1f}",
            row["predicted"],
            *(f"{100 * row[f'p_{name}']:.1f} %" for name in classes),
        )
    console = Console()
    if not console.is_terminal:  # another program reads it, so no line may be wrapped or cut
        console = Console(width=10_000)
    console.print(printed)


if __name__ == "__main__":
    main()
