"""Extract one representation for one shard of the corpus."""

import os
from pathlib import Path

import click
import torch

from emoscale.audio.utterances import read_sources
from emoscale.config import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.representations.registry import build_original, build_representation, sources_of
from emoscale.representations.weights.origin import Origin
from emoscale.representations.weights.placing import place_weights, reads_weights
from emoscale.runtime.command import shows_sentences
from emoscale.runtime.devices import choose_device
from emoscale.runtime.provenance import code_digest
from emoscale.store.extraction import extract_shard


@click.command(help=__doc__)
@click.option("--settings", required=True, help='The representation, as JSON: {"kind": "mfcc"}.')
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Corpus root.")
@click.option("--shard", required=True, type=click.Path(path_type=Path), help="Its recordings.")
@click.option("--texts", type=click.Path(path_type=Path), help="Its texts, where they are read.")
@click.option("--output", required=True, type=click.Path(path_type=Path))
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--threads", default=1, show_default=True)
@click.option("--fairseq-python", help="The Python that has fairseq, for `backend: fairseq`.")
@shows_sentences
@reads_weights
def main(
    settings: str,
    root: Path,
    shard: Path,
    texts: Path | None,
    origins: list[Origin],
    output: Path,
    device: str,
    threads: int,
    fairseq_python: str | None,
) -> None:
    torch.set_num_threads(threads)
    os.environ["HF_HUB_OFFLINE"] = "1"  # weights were fetched before; a step has no network
    asked = parse_settings(RepresentationSettings, settings, "--settings")
    backend = getattr(asked, "backend", "native")
    code = code_digest(Path(__file__), *sources_of(asked.kind, backend))
    placed, phrase = place_weights(asked, origins)
    representation = build_representation(placed, choose_device(device).type)
    if backend == "fairseq":
        representation = build_original(representation, placed, fairseq_python)
    rows = read_sources(shard, texts)
    extract_shard(rows, root, asked, representation, output, code, phrase)


if __name__ == "__main__":
    main()
