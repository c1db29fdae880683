"""Measure mean and standard deviation of each speaker's features, for normalisation by speaker.

The table speakers.parquet is written to the folder of the index.
"""

from pathlib import Path

import click

from emoscale.runtime.command import file_option, report_user_errors
from emoscale.store.index import FeatureStore
from emoscale.store.speaker_statistics import write_speaker_statistics
from emoscale.tables.parquet import read_table
from emoscale.tables.schemas import RECORDING_SPEAKERS


@click.command(help=__doc__)
@file_option("--index", "Index of the representation's features.")
@file_option("--speakers", "Table of all recordings with their speakers.")
@report_user_errors
def main(index: Path, speakers: Path) -> None:
    speaker_of = dict(
        read_table(speakers, RECORDING_SPEAKERS).select("utterance", "speaker").iter_rows()
    )
    write_speaker_statistics(FeatureStore(index), speaker_of)


if __name__ == "__main__":
    main()
