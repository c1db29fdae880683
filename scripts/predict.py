"""Predict the emotions of new recordings with a trained MODEL.

MODEL is the folder of a training: results/<study>/runs/<experiment>/<fold>/<size>. FILES are
recordings, or folders that are searched for recordings.
"""

import os
import sys
from pathlib import Path

import click
import polars as pl
import torch
from rich.console import Console
from rich.table import Table

from emoscale.prediction.features import FeatureMaker, weights_of
from emoscale.prediction.predictions import predict
from emoscale.prediction.recordings import LeftOut, find_recordings, read_list
from emoscale.prediction.tables import check_form, write_predictions
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
    "--list", "listed", type=click.Path(path_type=Path), help="A text file with one path a line."
)
@click.option("--repeat", type=int, help="One training of the cell, from 0.  [default: their mean]")
@click.option(
    "--transcripts",
    type=click.Path(path_type=Path),
    help="For models that read text: a table (.csv, .tsv) with the columns file and transcript.  "
    "[default: a .txt beside each recording]",
)
@click.option(
    "--segment-seconds",
    type=click.FloatRange(min=1.0),
    default=30.0,
    show_default=True,
    help="Seconds; longer recordings are cut into equal segments, none longer than this.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A .csv, .json or .parquet file.  [default: a table on the terminal]",
)
@click.option(
    "--weights",
    multiple=True,
    metavar="NAME=PATH",
    help="Where pre-trained weights lie that the model names, if not in the cache.",
)
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Of weights.  [default: the study's]"
)
@click.option("--download", is_flag=True, help="Fetch weights that are not in the cache.")
@click.option("--trust", multiple=True, metavar="KIND", help="Run this representation's own code.")
@computing_options
@report_user_errors
def main(
    model: Path,
    files: tuple[Path, ...],
    listed: Path | None,
    repeat: int | None,
    transcripts: Path | None,
    segment_seconds: float,
    output: Path | None,
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
        check_form(output)
    run = read_run(model)
    repeats = run.repeats if repeat is None else [run.repeat(repeat)]
    if not files and listed is None:
        raise CorpusError("no recording is named; name files or folders, or --list a text file")
    recordings = find_recordings([*files, *(read_list(listed) if listed else [])])
    said = Transcripts(transcripts)
    places = dict(_name_and_path(each) for each in weights)
    origins = weights_of(run, places, cache, download)
    maker = FeatureMaker(run, origins, choose_device(device), trust)
    left_out: list[LeftOut] = []

    def report(each: LeftOut) -> None:
        left_out.append(each)
        click.echo(f"left out: {each.sentence}", err=True)

    if any(getattr(each.model, "within_word", False) for each in repeats):
        click.echo(
            "note: in training each token saw the frames of its own word; when the words of these "
            "recordings are spoken is not known, so each token sees all frames",
            err=True,
        )
    with explain_out_of_memory(
        run.name,
        lambda on_gpu: (
            f"lower --segment-seconds ({segment_seconds:g} s), or name fewer recordings at a time"
            + ("; or take --device cpu" if on_gpu else "")
        ),
    ):
        table = predict(run, repeats, maker, recordings, said, segment_seconds, report)
    if not len(table):
        raise UserError(f"none of {len(recordings)} recordings could be predicted")
    click.echo(_said_of(run.name, table), err=output is not None)
    if output is None:
        _show(table, run.classes)
    else:
        write_predictions(table, run.classes, output)
        click.echo(f"predictions: {output}")
    if left_out:
        click.echo(f"{len(left_out)} left out, see above", err=True)
        sys.exit(1)


def _name_and_path(text: str) -> tuple[str, Path]:
    name, _, path = text.rpartition("=")
    if not name or not path:
        raise CheckpointError(f"--weights {text}: write NAME=PATH")
    return name, Path(path).expanduser()


def _said_of(name: str, table: pl.DataFrame) -> str:
    repeats = table["repeats"][0].split(", ")
    parts = [f"mean of {len(repeats)} repeats" if len(repeats) > 1 else f"repeat {repeats[0]}"]
    if table["pretrained_weights"][0]:
        parts.append(f"weights: {table['pretrained_weights'][0]}")
    return f"{name}: {'; '.join(parts)}"


def _show(table: pl.DataFrame, classes: list[str]) -> None:
    shown = Table()
    shown.add_column("file", overflow="fold")
    shown.add_column("seconds", justify="right")
    shown.add_column("predicted")
    for name in classes:
        shown.add_column(name, justify="right")
    for row in table.iter_rows(named=True):
        whole = row["segment"] is None
        shown.add_row(
            row["file"] if whole else "",
            f"{row['seconds']:.1f}" if whole else f"{row['start']:.1f}–{row['end']:.1f}",
            row["predicted"],
            *(f"{100 * row[f'p_{name}']:.1f} %" for name in classes),
        )
    console = Console()
    if not console.is_terminal:  # another program reads it: nothing is to be cut
        console = Console(width=10_000)
    console.print(shown)


if __name__ == "__main__":
    main()
