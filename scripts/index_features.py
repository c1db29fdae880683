"""Verify all feature shards of a representation and write the index of their utterances."""

from pathlib import Path

import click

from emoscale.runtime.command import file_option, files_argument, report_user_errors
from emoscale.store.index import index_shards


@click.command(help=__doc__)
@file_option("--output", "Index to write, in the folder of the shards.")
@files_argument("shards")
@report_user_errors
def main(output: Path, shards: tuple[Path, ...]) -> None:
    index_shards(shards, output)


if __name__ == "__main__":
    main()
