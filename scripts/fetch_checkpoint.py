"""Download a checkpoint to the cache unless it is there, and write a record of its digest."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.checkpoints import FetchedCheckpoint
from emoscale.representations.weights.fetching import fetch_checkpoint
from emoscale.representations.weights.local_checkpoint import write_checkpoint_record
from emoscale.runtime.command import file_option, report_user_errors


@click.command(help=__doc__)
@click.option("--name", required=True, help="Its name under `checkpoints` in the configuration.")
@click.option(
    "--settings",
    required=True,
    help='Its configuration as JSON, such as {"url": "https://…/wav2vec_large.pt"}.',
)
@click.option(
    "--cache",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the cache.",
)
@click.option(
    "--offline/--online", default=False, help="Offline: use only the cache, download nothing."
)
@file_option("--output", "The record, a JSON file.")
@report_user_errors
def main(name: str, settings: str, cache: Path, offline: bool, output: Path) -> None:
    parsed = parse_settings(FetchedCheckpoint, settings, "--settings")
    write_checkpoint_record(output, fetch_checkpoint(name, parsed, cache, offline), parsed)


if __name__ == "__main__":
    main()
