"""Extract one representation of one shard of the corpus, as it is or as heard under a condition."""

import importlib
import os
from pathlib import Path

import click
import torch

from emoscale.audio.utterances import read_extraction_inputs, waveform_of
from emoscale.config import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.representations.registry import build_original, build_representation, sources_of
from emoscale.representations.weights.origin import Origin
from emoscale.representations.weights.placing import checkpoint_options, place_weights
from emoscale.runtime.command import computing_options, file_option, report_user_errors
from emoscale.runtime.devices import choose_device
from emoscale.runtime.errors import ConfigurationError
from emoscale.runtime.provenance import code_digest, digest
from emoscale.store.extraction import extract_shard

# Imported by its name, so that what perturbs is no part of the code that extracts clean speech.
PERTURBING = "emoscale.audio.conditions"


@click.command(help=__doc__)
@click.option("--settings", required=True, help='The representation, as JSON: {"kind": "mfcc"}.')
@click.option("--condition", help='What is heard, as JSON: {"noise": "white", "snr_db": 10}.')
@file_option("--root", "Corpus root.")
@file_option("--shard", "Its recordings.")
@file_option("--texts", "Its texts, where they are read.", required=False)
@file_option("--talkers", "Who babbles, where somebody does.", required=False)
@file_option("--output")
@computing_options
@click.option("--fairseq-python", help="The Python that has fairseq, for `backend: fairseq`.")
@report_user_errors
@checkpoint_options
def main(
    settings: str,
    condition: str | None,
    root: Path,
    shard: Path,
    texts: Path | None,
    talkers: Path | None,
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
    placed, phrase = place_weights(asked, origins)
    representation = build_representation(placed, choose_device(device).type)
    if backend == "fairseq":
        representation = build_original(representation, placed, fairseq_python)
    sources = [Path(__file__), *sources_of(asked.kind, backend)]
    heard = waveform_of
    if condition is not None:
        if representation.modality != "audio":
            raise ConfigurationError(
                f"{asked.kind} reads {representation.modality}, which changed audio leaves as it "
                "is; take the experiments that read it out of robustness.experiments"
            )
        heard = importlib.import_module(PERTURBING).perturbed_reading(condition, talkers, root)
        sources.append(PERTURBING)
    code = code_digest(*sources)
    if condition is not None:  # it is part of how the features were made, as the code is
        code = digest([code, condition])
    rows = read_extraction_inputs(shard, texts)
    extract_shard(rows, root, asked, representation, output, code, phrase, heard)


if __name__ == "__main__":
    main()
