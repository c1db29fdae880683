"""Make sure that a checkpoint's weights are in the cache, and write where and what they are."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.checkpoints import CheckpointSettings
from emoscale.representations.weights.fetching import fetch_checkpoint
from emoscale.representations.weights.origin import write_stamp
from emoscale.runtime.command import file_option, report_user_errors


@click.command(help=__doc__)
@click.option("--name", required=True, help="Under `checkpoints` in the configuration.")
@click.option("--settings", required=True, help='As JSON: {"url": "https://…/wav2vec_large.pt"}.')
@click.option("--cache", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--offline/--online", default=False, help="Offline: use what is in the cache, download nothing."
)
@file_option("--output")
@report_user_errors
def main(name: str, settings: str, cache: Path, offline: bool, output: Path) -> None:
    checkpoint = parse_settings(CheckpointSettings, settings, "--settings")
    write_stamp(output, fetch_checkpoint(name, checkpoint, cache, offline))


if __name__ == "__main__":
    main()
