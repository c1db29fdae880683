"""Read a corpus, check every recording, and write what can be used and what was left out."""

from pathlib import Path

import click

from emoscale.command import shows_sentences
from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings
from emoscale.corpus.reading import read_corpus
from emoscale.corpus.recordings import check_recordings
from emoscale.tables import RECORDINGS, REJECTED, write_csv, write_table


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The study's `corpus`, as JSON.")
@click.option("--audio", default="{}", show_default=True, help="The study's `audio`, as JSON.")
@click.option("--recordings", required=True, type=click.Path(path_type=Path))
@click.option("--rejected", required=True, type=click.Path(path_type=Path))
@click.option("--threads", default=1, show_default=True)
@shows_sentences
def main(settings: str, audio: str, recordings: Path, rejected: Path, threads: int) -> None:
    corpus = parse_settings(CorpusSettings, settings, "--settings")
    checks = parse_settings(AudioChecks, audio, "--audio")
    reading = read_corpus(corpus)
    usable, left_out = check_recordings(reading, Path(corpus.root), checks, threads)
    write_table(usable, recordings, RECORDINGS)
    write_table(left_out, rejected, REJECTED)
    write_csv(left_out, rejected.with_suffix(".csv"))
    click.echo(f"{len(usable)} utterances can be used; {len(left_out)} rows in {rejected}")
    for reason, count in left_out.group_by("reason").len().sort("reason").iter_rows():
        click.echo(f"  {reason}: {count}")


if __name__ == "__main__":
    main()
