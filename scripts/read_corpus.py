"""Join what a corpus says of its utterances with what its audio is; write what can be used."""

from pathlib import Path

import click
import polars as pl

from emoscale.config import parse_settings
from emoscale.config.corpus import CorpusSettings
from emoscale.corpus.reading import read_corpus
from emoscale.corpus.recordings import gather_recordings
from emoscale.corpus.survey import keep_survey, survey_corpus
from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import RECORDINGS, REJECTED, SHARD, read_table, write_csv, write_table


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The study's `corpus`, as JSON.")
@click.option("--recordings", required=True, type=click.Path(path_type=Path))
@click.option("--rejected", required=True, type=click.Path(path_type=Path))
@click.option("--survey", required=True, type=click.Path(path_type=Path))
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(
    settings: str, recordings: Path, rejected: Path, survey: Path, shards: tuple[Path, ...]
) -> None:
    """Of all shards the tables of their recordings, then of all those of what was rejected."""
    corpus = parse_settings(CorpusSettings, settings, "--settings")
    number = len(shards) // 2
    own = pl.concat([read_table(path, SHARD) for path in shards[:number]])
    others = pl.concat([read_table(path, REJECTED) for path in shards[number:]])
    usable, left_out = gather_recordings(read_corpus(corpus), Path(corpus.root), own, others)
    write_table(usable, recordings, RECORDINGS)
    write_table(left_out, rejected, REJECTED)
    write_csv(left_out, rejected.with_suffix(".csv"))
    keep_survey(survey_corpus(corpus, number), survey)
    click.echo(f"{len(usable)} utterances can be used; {len(left_out)} rows in {rejected}")
    for reason, count in left_out.group_by("reason").len().sort("reason").iter_rows():
        click.echo(f"  {reason}: {count}")


if __name__ == "__main__":
    main()
