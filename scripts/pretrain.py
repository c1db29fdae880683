"""Pre-train a network on unlabelled speech, or continue after an interruption."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import torch
import torch.distributed

from emoscale.config import parse_settings
from emoscale.config.checkpoints import PretrainedCheckpoint, source_of
from emoscale.config.representations import expand_home
from emoscale.pretraining.history import HISTORY
from emoscale.pretraining.model_card import model_card, weights_description
from emoscale.pretraining.objectives import OBJECTIVES, objective_module
from emoscale.pretraining.speech import SPEECH, speech_files, speech_summary
from emoscale.pretraining.trainer import Measurement, Work, train
from emoscale.representations.weights.local_checkpoint import (
    LocalCheckpoint,
    weights_sha256,
    write_checkpoint_record,
)
from emoscale.representations.weights.resolving import checkpoint_options
from emoscale.runtime.command import computing_options, file_option, report_user_errors
from emoscale.runtime.devices import choose_device, device_name, use_deterministic_algorithms
from emoscale.runtime.errors import UserError
from emoscale.runtime.files import replacement_folder
from emoscale.runtime.provenance import code_digest, digest, installed_versions
from emoscale.tables.parquet import dataframe_of, read_table, write_table

PACKAGES = ("torch", "transformers", "numpy", "soundfile", "soxr")


@click.command(help=__doc__)
@click.option("--name", required=True, help="Its name under `checkpoints` in the configuration.")
@click.option("--settings", required=True, help="Its configuration, as JSON.")
@file_option("--speech", "Table of the unlabelled speech; not needed for 0 steps.", required=False)
@file_option("--root", "Root folder of the unlabelled speech.", required=False)
@file_option("--state", "File that the state is saved to, and continued from.")
@file_option("--record", "Record of the checkpoint to write, JSON.")
@file_option("--model", "Folder of the model to write.")
@file_option("--history", "Table of the losses to write.")
@computing_options
@report_user_errors
@checkpoint_options
def main(
    name: str,
    settings: str,
    speech: Path | None,
    root: Path | None,
    checkpoints: list[LocalCheckpoint],
    state: Path,
    record: Path,
    model: Path,
    history: Path,
    device: str,
    threads: int,
) -> None:
    parsed: PretrainedCheckpoint = parse_settings(PretrainedCheckpoint, settings, "--settings")
    torch.set_num_threads(threads)
    is_first, chosen = _join_processes(device)
    use_deterministic_algorithms(chosen)
    objective = objective_module(parsed.pretrain)
    initial = _initial_weights(parsed, checkpoints)
    network = objective.build_network(parsed, initial).to(chosen)
    versions = installed_versions(PACKAGES)
    measurements: list[Measurement] = []
    summary = None
    if parsed.steps:
        if speech is None or root is None:
            raise UserError("training needs --speech and --root; name the table and its folder")
        table = read_table(speech, SPEECH)
        summary = speech_summary(table)
        identity = digest(
            [
                *(source_of(parsed), versions, device_name(chosen), threads),
                table.select("utterance", "audio_sha256", "held_out").rows(),
                code_digest(Path(__file__), OBJECTIVES[parsed.pretrain]),
                initial and weights_sha256(initial),
            ]
        )
        work = Work(
            speech_files(table, root, held_out=False),
            speech_files(table, root, held_out=True),
            chosen,
            state,
            identity,
        )
        report = click.echo if is_first else lambda line: None
        measurements = train(network, parsed, work, report)
    if not is_first:
        return
    with replacement_folder(model) as temporary:
        objective.write_model(temporary, network, parsed)
        card = model_card(name, parsed, summary, measurements, versions)
        (temporary / "README.md").write_text(card, encoding="utf-8")
    rows = dataframe_of([{"checkpoint": name, **asdict(each)} for each in measurements], HISTORY)
    write_table(rows, history, HISTORY)
    weights = model.parent / parsed.weights
    sha256 = weights_sha256(weights)
    description = weights_description(parsed, summary)
    checkpoint = LocalCheckpoint(name, weights.absolute(), sha256, description)
    write_checkpoint_record(record, checkpoint, parsed)
    state.unlink(missing_ok=True)  # the state is larger than the model
    click.echo(f"{weights}: {description}, sha256 {sha256}")


def _initial_weights(
    settings: PretrainedCheckpoint, checkpoints: Sequence[LocalCheckpoint]
) -> Path | None:
    """Return the path of the weights to continue from."""
    paths = [each.path for each in checkpoints if each.name == settings.continue_from]
    if paths or settings.continue_from is None:
        return paths[0] if paths else None
    return Path(expand_home(settings.continue_from))


def _join_processes(device: str) -> tuple[bool, torch.device]:
    """Return whether this is the first process that torchrun started, and its device."""
    chosen = choose_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return True, chosen
    if chosen.type == "cuda":
        gpus = torch.cuda.device_count()
        if int(os.environ["LOCAL_WORLD_SIZE"]) > gpus:
            raise UserError(
                f"execution.pretraining_processes is {os.environ['LOCAL_WORLD_SIZE']}, and there "
                f"are {gpus} GPUs here; lower it, or request more"
            )
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    # Gradients are on the GPU; losses and decisions are on the CPU.
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    return torch.distributed.get_rank() == 0, chosen


if __name__ == "__main__":
    main()
