"""Extract one representation for one shard of the corpus."""

from pathlib import Path

import click
import torch

from emoscale.command import shows_sentences
from emoscale.config import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.device import choose_device
from emoscale.extraction.shard import extract_shard
from emoscale.provenance import code_digest
from emoscale.representations.registry import build_representation, sources_of
from emoscale.tables import SHARD, read_table
from emoscale.weights.origin import read_origin
from emoscale.weights.placing import place_weights


@click.command(help=__doc__)
@click.option("--settings", required=True, help='The representation, as JSON: {"kind": "mfcc"}.')
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Corpus root.")
@click.option("--shard", required=True, type=click.Path(path_type=Path))
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(path_type=Path),
    help="What fetch_checkpoint.py wrote of a checkpoint that the settings name.",
)
@click.option("--output", required=True, type=click.Path(path_type=Path))
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda")
@click.option("--threads", default=1, show_default=True)
@shows_sentences
def main(
    settings: str,
    root: Path,
    shard: Path,
    weights: tuple[Path, ...],
    output: Path,
    device: str,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    asked = parse_settings(RepresentationSettings, settings, "--settings")
    code = code_digest(Path(__file__), *sources_of(asked.kind))
    placed, phrase = place_weights(asked, [read_origin(path) for path in weights])
    representation = build_representation(placed, choose_device(device).type)
    rows = read_table(shard, SHARD)
    extract_shard(rows, root, asked, representation, output, code, phrase)


if __name__ == "__main__":
    main()
