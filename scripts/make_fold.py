"""Give every labelled utterance its role in one fold and its place in each training order.

A fold that leaks is not written.
"""

from pathlib import Path

import click
import polars as pl

from emoscale.audit.same_recordings import DUPLICATES
from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings
from emoscale.protocol.checks import check_fold
from emoscale.protocol.orders import make_fold
from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import UTTERANCES, protocol_schema, read_table, write_table


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The study's `protocol` and seed, as JSON.")
@click.option("--fold", required=True, help="fold1, fold2 …")
@click.option("--utterances", required=True, type=click.Path(path_type=Path))
@click.option("--duplicates", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(settings: str, fold: str, utterances: Path, duplicates: Path, output: Path) -> None:
    protocol: SeededProtocolSettings = parse_settings(
        SeededProtocolSettings, settings, "--settings"
    )
    number = int(fold.removeprefix("fold")) - 1
    corpus = read_table(utterances, UTTERANCES)
    table = make_fold(corpus, protocol, number, protocol.seed)
    check_fold(fold, table, corpus, protocol, read_table(duplicates, DUPLICATES))
    write_table(table, output, protocol_schema(protocol.repeats, protocol.shuffle_labels))
    for role, count in table.group_by("role").agg(pl.len()).sort("role").iter_rows():
        click.echo(f"{fold}: {role} {count}")


if __name__ == "__main__":
    main()
