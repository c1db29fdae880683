"""Give every recording the study's class and the raters' shares; write the utterance table."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import LabelSettings
from emoscale.corpus.labels import give_labels
from emoscale.corpus.votes import give_vote_shares
from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import RECORDINGS, UTTERANCES, read_table, write_table


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The study's `labels`, as JSON.")
@click.option("--recordings", required=True, type=click.Path(path_type=Path))
@click.option("--utterances", required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(settings: str, recordings: Path, utterances: Path) -> None:
    labels: LabelSettings = parse_settings(LabelSettings, settings, "--settings")
    table = give_vote_shares(give_labels(read_table(recordings, RECORDINGS), labels), labels)
    write_table(table, utterances, UTTERANCES)
    for name in labels.classes:
        click.echo(f"{name}: {len(table.filter(table['label'] == name))}")
    click.echo(f"outside the study: {table['label'].null_count()}")
    voted = table.filter(table["label"].is_not_null() & table["vote_shares"].is_not_null())
    click.echo(f"in the study, with votes for its classes: {len(voted)}")


if __name__ == "__main__":
    main()
