"""Measure every recording, and find which utterances are one recording under several keys."""

from pathlib import Path

import click

from emoscale.audit.acoustics import ACOUSTICS
from emoscale.audit.measuring import measure_corpus
from emoscale.audit.same_recordings import DUPLICATES, SAME_RECORDINGS, duplicate_groups
from emoscale.command import shows_sentences
from emoscale.tables import RECORDINGS, read_table, write_table


@click.command(help=__doc__)
@click.option("--root", required=True, type=click.Path(path_type=Path), help="The corpus's folder.")
@click.option("--recordings", required=True, type=click.Path(path_type=Path))
@click.option("--acoustics", required=True, type=click.Path(path_type=Path))
@click.option("--pairs", required=True, type=click.Path(path_type=Path))
@click.option("--duplicates", required=True, type=click.Path(path_type=Path))
@click.option("--threads", default=1, show_default=True)
@shows_sentences
def main(
    root: Path, recordings: Path, acoustics: Path, pairs: Path, duplicates: Path, threads: int
) -> None:
    measured, found = measure_corpus(read_table(recordings, RECORDINGS), root, threads)
    groups = duplicate_groups(found)
    write_table(measured, acoustics, ACOUSTICS)
    write_table(found, pairs, SAME_RECORDINGS)
    write_table(groups, duplicates, DUPLICATES)
    click.echo(f"{len(measured)} utterances measured")
    click.echo(f"recordings under several keys: {groups['group'].n_unique()} of {len(groups)} keys")


if __name__ == "__main__":
    main()
