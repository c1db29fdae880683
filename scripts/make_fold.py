"""Assign the roles and training orders of one fold, and check the fold for leakage.

A fold with leakage is not written.
"""

from pathlib import Path

import click
import polars as pl

from emoscale.audit.duplicates import DUPLICATES
from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings
from emoscale.protocol.checks import check_fold
from emoscale.protocol.orders import make_fold
from emoscale.runtime.command import file_option, protocol_option, report_user_errors
from emoscale.tables.parquet import read_table, read_utterances, write_table
from emoscale.tables.schemas import fold_schema


@click.command(help=__doc__)
@protocol_option
@click.option("--fold", required=True, help="Name: fold1, fold2 …")
@file_option("--utterances")
@file_option("--texts", "Texts of the utterances; needed with text_disjoint.", required=False)
@file_option("--duplicates")
@file_option("--output")
@report_user_errors
def main(
    protocol: str,
    fold: str,
    utterances: Path,
    texts: Path | None,
    duplicates: Path,
    output: Path,
) -> None:
    settings: SeededProtocolSettings = parse_settings(
        SeededProtocolSettings, protocol, "--protocol"
    )
    number = int(fold.removeprefix("fold")) - 1
    corpus = read_utterances(utterances, texts)
    table = make_fold(corpus, settings, number, settings.seed)
    check_fold(fold, table, corpus, settings, read_table(duplicates, DUPLICATES))
    write_table(table, output, fold_schema(settings.repeats, settings.shuffle_labels))
    for role, count in table.group_by("role").agg(pl.len()).sort("role").iter_rows():
        click.echo(f"{fold}: {role} {count}")


if __name__ == "__main__":
    main()
