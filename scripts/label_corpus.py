"""Add the study's class and the vote shares to every recording; write the utterance table."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import LabelSettings
from emoscale.corpus.labels import add_labels
from emoscale.corpus.votes import add_vote_shares
from emoscale.runtime.command import file_option, labels_option, report_user_errors
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import RECORDINGS, UTTERANCES


@click.command(help=__doc__)
@labels_option
@file_option("--recordings")
@file_option("--utterances")
@report_user_errors
def main(labels: str, recordings: Path, utterances: Path) -> None:
    settings: LabelSettings = parse_settings(LabelSettings, labels, "--labels")
    table = add_vote_shares(add_labels(read_table(recordings, RECORDINGS), settings), settings)
    write_table(table, utterances, UTTERANCES)
    for name in settings.classes:
        click.echo(f"{name}: {len(table.filter(table['label'] == name))}")
    click.echo(f"outside the study: {table['label'].null_count()}")
    voted = table.filter(table["label"].is_not_null() & table["vote_shares"].is_not_null())
    click.echo(f"in the study, with votes for its classes: {len(voted)}")


if __name__ == "__main__":
    main()
