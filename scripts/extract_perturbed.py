"""Extract one representation of one shard's labelled utterances as heard under a condition."""

import os
from pathlib import Path

import click
import torch

from emoscale.audio.conditions import PerturbedReading
from emoscale.audio.utterances import read_sources
from emoscale.config import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.config.robustness import ConditionSettings
from emoscale.representations.registry import build_representation, sources_of
from emoscale.representations.weights.origin import Origin
from emoscale.representations.weights.placing import place_weights, reads_weights
from emoscale.runtime.command import shows_sentences
from emoscale.runtime.devices import choose_device
from emoscale.runtime.errors import ConfigurationError
from emoscale.runtime.provenance import code_digest, digest
from emoscale.store.extraction import extract_shard
from emoscale.tables.schemas import TALKERS, read_table


@click.command(help=__doc__)
@click.option("--settings", required=True, help='The representation, as JSON: {"kind": "mfcc"}.')
@click.option(
    "--condition", required=True, help='What is heard, as JSON: {"noise": "white", "snr_db": 10}.'
)
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Corpus root.")
@click.option("--shard", required=True, type=click.Path(path_type=Path), help="What is tested.")
@click.option(
    "--talkers", type=click.Path(path_type=Path), help="Who babbles, where somebody does."
)
@click.option("--output", required=True, type=click.Path(path_type=Path))
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--threads", default=1, show_default=True)
@shows_sentences
@reads_weights
def main(
    settings: str,
    condition: str,
    root: Path,
    shard: Path,
    talkers: Path | None,
    origins: list[Origin],
    output: Path,
    device: str,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    os.environ["HF_HUB_OFFLINE"] = "1"  # weights were fetched before; a step has no network
    asked = parse_settings(RepresentationSettings, settings, "--settings")
    heard = parse_settings(ConditionSettings, condition, "--condition")
    placed, phrase = place_weights(asked, origins)
    representation = build_representation(placed, choose_device(device).type)
    if representation.modality != "audio":
        raise ConfigurationError(
            f"{asked.kind} reads {representation.modality}, which changed audio leaves as it is; "
            "take the experiments that read it out of robustness.experiments"
        )
    rows = read_sources(shard)
    others = read_table(talkers, TALKERS) if talkers is not None else None
    # The condition is part of how the features were made, as the code is.
    code = digest([code_digest(Path(__file__), *sources_of(asked.kind)), condition])
    reading = PerturbedReading(heard, others, root)
    extract_shard(rows, root, asked, representation, output, code, phrase, reading)


if __name__ == "__main__":
    main()
