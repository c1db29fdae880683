"""Write a corpus shard's waveforms, and where the weights are, for the fairseq backend."""

from pathlib import Path

import click

from emoscale.audio.utterances import read_sources
from emoscale.config import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.representations.weights.origin import Origin
from emoscale.representations.weights.placing import place_weights, reads_weights
from emoscale.runtime.command import shows_sentences
from emoscale.runtime.files import write_json
from emoscale.store.external_frames import export_waveforms


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The representation, as JSON.")
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Corpus root.")
@click.option("--shard", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="An .npz file.")
@click.option("--place", required=True, type=click.Path(path_type=Path), help="A .json file.")
@shows_sentences
@reads_weights
def main(
    settings: str,
    root: Path,
    shard: Path,
    origins: list[Origin],
    output: Path,
    place: Path,
) -> None:
    asked = parse_settings(RepresentationSettings, settings, "--settings")
    placed, _ = place_weights(asked, origins)
    write_json(place, {"path": placed.checkpoint})
    export_waveforms(read_sources(shard), root, output)


if __name__ == "__main__":
    main()
