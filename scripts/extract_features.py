"""Extract one representation of one shard of the corpus, clean or under a test condition."""

import importlib
import os
import time
from pathlib import Path

import click
import torch

from emoscale.audio.utterances import read_extraction_inputs, waveform_of
from emoscale.config import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.representations.registry import (
    build_fairseq_representation,
    build_representation,
    representation_sources,
)
from emoscale.representations.throughput import describe_throughput
from emoscale.representations.weights.local_checkpoint import LocalCheckpoint
from emoscale.representations.weights.resolving import checkpoint_options, resolve_checkpoints
from emoscale.runtime.command import computing_options, file_option, report_user_errors
from emoscale.runtime.devices import choose_device
from emoscale.runtime.errors import ConfigurationError
from emoscale.runtime.provenance import code_digest, digest, installed_versions
from emoscale.store.extraction import extract_shard

# Imported by name, so that the perturbation code is not in the digest of clean features' code.
PERTURBATION_MODULE = "emoscale.audio.conditions"
PERTURBATION_PACKAGES = ("numpy", "scipy")


@click.command(help=__doc__)
@click.option("--settings", required=True, help='The representation, as JSON: {"kind": "mfcc"}.')
@click.option(
    "--condition",
    help='Perturbation of the audio, as JSON: {"noise": "white", "snr_db": 10}; default: none.',
)
@file_option("--root", "Root folder of the corpus.")
@file_option("--shard", "Table of the shard's recordings.")
@file_option(
    "--texts", "Table of the shard's texts; required by text representations.", required=False
)
@file_option("--talkers", "Table of the talkers for babble noise.", required=False)
@file_option("--output", "Feature shard to write.")
@computing_options
@click.option(
    "--fairseq-python", help="Python interpreter that has fairseq, for `backend: fairseq`."
)
@report_user_errors
@checkpoint_options
def main(
    settings: str,
    condition: str | None,
    root: Path,
    shard: Path,
    texts: Path | None,
    talkers: Path | None,
    checkpoints: list[LocalCheckpoint],
    output: Path,
    device: str,
    threads: int,
    fairseq_python: str | None,
) -> None:
    torch.set_num_threads(threads)
    os.environ["HF_HUB_OFFLINE"] = "1"  # weights were fetched before; this step uses no network
    parsed = parse_settings(RepresentationSettings, settings, "--settings")
    backend = getattr(parsed, "backend", "native")
    resolved, pretrained_weights = resolve_checkpoints(parsed, checkpoints)
    chosen = choose_device(device)
    representation = build_representation(resolved, chosen.type)  # torch's current GPU
    if backend == "fairseq":
        representation = build_fairseq_representation(representation, resolved, fairseq_python)
    sources = [Path(__file__), *representation_sources(parsed.kind, backend)]
    waveform_reader = waveform_of
    if condition is not None:
        if representation.modality != "audio":
            raise ConfigurationError(
                f"{parsed.kind} reads {representation.modality}, which does not change with the "
                "audio; remove the experiments that read it from robustness.experiments"
            )
        waveform_reader = importlib.import_module(PERTURBATION_MODULE).create_perturbed_reader(
            condition, talkers, root
        )
        sources.append(PERTURBATION_MODULE)
    code = code_digest(*sources)
    if condition is not None:  # it determines the features, as the code and packages do
        code = digest([code, condition, installed_versions(PERTURBATION_PACKAGES)])
    rows = read_extraction_inputs(shard, texts)
    start = time.monotonic()
    extract_shard(
        rows, root, parsed, representation, output, code, pretrained_weights, waveform_reader
    )
    elapsed = time.monotonic() - start
    precision, seconds = getattr(parsed, "precision", None), rows["seconds"].to_list()
    speed = describe_throughput(representation, precision, seconds, elapsed, chosen)
    click.echo(f"{output.parent.name} {output.stem}: {speed}")


if __name__ == "__main__":
    main()
