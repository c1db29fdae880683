"""Extract one representation for one shard of the corpus."""

from pathlib import Path

import click
import torch

from emoscale.command import shows_sentences
from emoscale.config import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.extraction import extract_shard
from emoscale.provenance import code_digest
from emoscale.representations.registry import sources_of
from emoscale.tables import SHARD, read_table


@click.command(help=__doc__)
@click.option("--settings", required=True, help='The representation, as JSON: {"kind": "mfcc"}.')
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Corpus root.")
@click.option("--shard", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path))
@click.option("--threads", default=1, show_default=True)
@shows_sentences
def main(settings: str, root: Path, shard: Path, output: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    representation = parse_settings(RepresentationSettings, settings, "--settings")
    code = code_digest(Path(__file__), *sources_of(representation.kind))
    extract_shard(read_table(shard, SHARD), root, representation, output, code)


if __name__ == "__main__":
    main()
