"""Store what the fairseq backend computed as a shard of features."""

from pathlib import Path

import click

from emoscale.command import shows_sentences
from emoscale.config import parse_settings
from emoscale.config.checkpoints import CheckpointSettings
from emoscale.config.representations import RepresentationSettings
from emoscale.extraction.elsewhere import store_frames
from emoscale.provenance import code_digest
from emoscale.representations.registry import build_representation, sources_of
from emoscale.tables import SHARD, read_table
from emoscale.weights.placing import find_weights, place_weights


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The representation, as JSON.")
@click.option("--shard", required=True, type=click.Path(path_type=Path))
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(path_type=Path),
    help="What fetch_checkpoint.py wrote of a checkpoint that the settings name.",
)
@click.option("--checkpoints", default="{}", help="All of them, as JSON: what is where.")
@click.option("--cache", default="", type=click.Path(path_type=Path), help="Their cache.")
@click.option("--frames", required=True, type=click.Path(path_type=Path), help="An .npz file.")
@click.option("--output", required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(
    settings: str,
    shard: Path,
    weights: tuple[Path, ...],
    checkpoints: str,
    cache: Path,
    frames: Path,
    output: Path,
) -> None:
    asked = parse_settings(RepresentationSettings, settings, "--settings")
    backend = Path(__file__).with_name("fairseq_backend.py")
    code = code_digest(Path(__file__), backend, *sources_of(asked.kind))
    known = parse_settings(dict[str, CheckpointSettings], checkpoints, "--checkpoints")
    placed, phrase = place_weights(asked, find_weights(weights, known, cache))
    rows = read_table(shard, SHARD)
    store_frames(rows, asked, build_representation(placed), frames, output, code, phrase)


if __name__ == "__main__":
    main()
