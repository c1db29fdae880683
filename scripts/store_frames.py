"""Store what the fairseq backend computed as a shard of features."""

from pathlib import Path

import click

from emoscale.audio.utterances import read_sources
from emoscale.config import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.representations.registry import build_representation, sources_of
from emoscale.representations.weights.origin import Origin
from emoscale.representations.weights.placing import place_weights, reads_weights
from emoscale.runtime.command import shows_sentences
from emoscale.runtime.provenance import code_digest
from emoscale.store.external_frames import store_frames


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The representation, as JSON.")
@click.option("--shard", required=True, type=click.Path(path_type=Path))
@click.option("--frames", required=True, type=click.Path(path_type=Path), help="An .npz file.")
@click.option("--output", required=True, type=click.Path(path_type=Path))
@shows_sentences
@reads_weights
def main(
    settings: str,
    shard: Path,
    origins: list[Origin],
    frames: Path,
    output: Path,
) -> None:
    asked = parse_settings(RepresentationSettings, settings, "--settings")
    backend = Path(__file__).with_name("fairseq_backend.py")
    code = code_digest(Path(__file__), backend, *sources_of(asked.kind))
    placed, phrase = place_weights(asked, origins)
    rows = read_sources(shard)
    store_frames(rows, asked, build_representation(placed), frames, output, code, phrase)


if __name__ == "__main__":
    main()
