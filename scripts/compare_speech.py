"""Find the tested recordings and speakers of a study that are in the speech of a pre-training."""

from pathlib import Path

import click
import polars as pl

from emoscale.audit.measurement import MEASUREMENTS
from emoscale.pretraining.overlap import (
    StudyRecordings,
    UnlabelledSpeech,
    all_tested_utterances,
    find_overlap,
    overlap_note,
)
from emoscale.pretraining.speech import SPEECH
from emoscale.runtime.command import file_option, files_argument, report_user_errors
from emoscale.runtime.files import write_json
from emoscale.tables.parquet import read_fold, read_table
from emoscale.tables.schemas import RECORDINGS


@click.command(help=__doc__)
@file_option(
    "--speech",
    "Table of unlabelled speech and its root folder; may be repeated.",
    nargs=2,
    multiple=True,
    metavar="TABLE ROOT",
)
@file_option("--root", "Root folder of the corpus.")
@file_option("--recordings", "Table of the corpus's usable recordings.")
@click.option("--shards", required=True, type=int, help="Number of tables of measurements.")
@file_option("--output", "JSON file to write.")
@click.option("--threads", default=1, show_default=True)
@files_argument("tables")
@report_user_errors
def main(
    speech: tuple[tuple[Path, Path], ...],
    root: Path,
    recordings: Path,
    shards: int,
    output: Path,
    threads: int,
    tables: tuple[Path, ...],
) -> None:
    """TABLES: the tables of measurements of all shards, followed by the folds."""
    overlap = find_overlap(
        [UnlabelledSpeech(read_table(table, SPEECH), folder) for table, folder in speech],
        StudyRecordings(
            read_table(recordings, RECORDINGS),
            pl.concat([read_table(path, MEASUREMENTS) for path in tables[:shards]]),
            root,
        ),
        all_tested_utterances(read_fold(path) for path in tables[shards:]),
        threads,
    )
    write_json(output, overlap)
    click.echo(
        f"tested recordings in the speech: {overlap['recordings']:,} of {overlap['tested']:,}; "
        f"tested speakers: {overlap['speakers']:,} of {overlap['tested_speakers']:,}"
    )
    if overlap_note(overlap):
        click.echo(f"warning: {overlap_note(overlap)}")


if __name__ == "__main__":
    main()
