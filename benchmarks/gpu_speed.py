"""Measure extraction and training on a GPU, and compute the hours of config/iemocap.yaml from it.

Features and weights are random and of true size, so nothing is downloaded; utterances have lengths
like IEMOCAP's (1 to 20 s, median 3.6 s). Speeds are medians of interleaved rounds.

Extraction goes from waveforms in memory to features in memory, through the project's classes with
their own batches: reading audio and writing shards are not included. The share of the matrix rate
counts the operations of each utterance without padding, except Whisper's of 30 s.

The start of a cell is a process that imports the project and takes one step with tiny features.
Steps in several processes are measured for one experiment of each kind of model, and the others
are scaled by its gain. A training step includes its share of the evaluations of 265 utterances, one
per 50 steps. Features are on the GPU. The plain loop has a data loader, padded batches and cuDNN
(plain_training.py). The whole grid is 5 folds × 5 sizes × 5 repeats of one representation at
IEMOCAP's size, of which one training per size is measured, with its predictions of the test set.

--count needs no GPU: it counts the floating-point operations, and computes the hours from rates
that are assumptions.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import click
import torch
import yaml
from tests.gpu.cases import (
    CASES,
    CLASSES,
    Case,
    cell_features,
    iemocap_seconds,
    model_settings,
    plan_training,
    random_features,
    random_network,
    random_representation,
    random_waveforms,
    shapes_of,
    training_settings,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from emoscale.models.contract import InputShape
from emoscale.models.packed_layout import PackedLayout
from emoscale.models.recurrent_encoder import RecurrentEncoder
from emoscale.models.registry import build_model
from emoscale.representations.batching import plan_batches
from emoscale.representations.throughput import matrix_rate
from emoscale.runtime.devices import choose_device, device_name, use_deterministic_algorithms
from emoscale.store.features import Features
from emoscale.training.cell_features import CellFeatures
from emoscale.training.engine import train_until_evaluation
from emoscale.training.tasks import predict_from_weights, train_all
from emoscale.training.trainer import Trainer
from plain_training import Convolutional, Pooled, Recurrent, collate_padded

STUDY: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "config" / "iemocap.yaml").read_text(encoding="utf-8")
)
STUDY_CASES = {
    name: Case(
        STUDY["models"][experiment["model"]],
        tuple(experiment["representations"]),
        STUDY["training"] | experiment.get("training", {}),
    )
    for name, experiment in STUDY["experiments"].items()
    if STUDY["models"][experiment["model"]]["kind"] != "estimator"
}
MEASURED_CASES = STUDY_CASES | {"LSTM": CASES["recurrent, lstm"]}
EVALUATION_STEPS = STUDY["training"]["steps_between_evaluations"]
AUDIO_SECONDS = 12 * 3600.0
"""Of all recordings of IEMOCAP."""

TRAINING_UTTERANCES, DEVELOPMENT_UTTERANCES, TEST_UTTERANCES = 4160, 265, 1106
"""Of a fold of IEMOCAP with four classes."""

NETWORKS_OF: dict[str, list[str]] = {
    "wav2vec": ["wav2vec_large"],
    "vq_wav2vec": ["wav2vec_large"],
    "code_roberta": ["wav2vec_large", "wav2vec 2.0 base"],
    "transformers_audio": ["wav2vec 2.0 base"],
}
"""Measured network of about the same size for each kind of representation; others use the CPU."""

NETWORKS = {  # utterances in a round
    "wav2vec_large": 128,
    "wav2vec 2.0 base": 128,
    "wav2vec 2.0 large": 128,
    "WavLM large": 128,
    "Whisper large": 32,
}
PLAIN: dict[str, Callable[[int, int], nn.Module]] = {
    "wav2vec": Pooled,
    "wav2vec_convolutional": partial(Convolutional, kernels=(5, 3)),
    "wav2vec_recurrent": Recurrent,
}
TOGETHER = "sum of several processes"
PROCESSES, ROUNDS, STEPS, UTTERANCES = 5, 3, 10, 700


class Budget:
    """Time that is left for measurements, and what was left out."""

    def __init__(self, seconds: float) -> None:
        self.begin = time.monotonic()
        self.end = self.begin + seconds
        self.left_out: list[str] = []

    def has(self, seconds: float, name: str) -> bool:
        """Return whether some seconds are left; if not, a name is reported as left out."""
        if time.monotonic() + seconds < self.end:
            return True
        self.left_out.append(name)
        return False


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(function: Callable[[], Any], device: torch.device) -> float:
    """Measure a call until the device has finished."""
    synchronise(device)
    start = time.perf_counter()
    function()
    synchronise(device)
    return time.perf_counter() - start


def interleave(
    functions: dict[str, Callable[[], Any]], rounds: int, device: torch.device, budget: Budget
) -> dict[str, float]:
    """Return the median seconds of each function; the first of several rounds does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            if number < 2 or budget.has(0.0, f"round {number} of {name}"):
                seconds[name].append(seconds_of(function, device))
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def measure_matrix_rates(device: torch.device, tiny: bool) -> dict[str, float]:
    """Measure products of square matrices, in FLOP/s; the precisions take turns.

    Tiny measurements leave out bfloat16, which many CPUs compute a hundred times more slowly.
    """
    precisions = ["float32"] if tiny else ["float32", "bfloat16"]
    rates: dict[str, list[float]] = {precision: [] for precision in precisions}
    for _ in range(1 if tiny else 3 * ROUNDS):
        for precision, each in rates.items():
            each.append(matrix_rate(getattr(torch, precision), device))
    return {precision: statistics.median(each) for precision, each in rates.items()}


def count_extraction(name: str, tiny: bool) -> float:
    """Return the FLOP per second of audio of an utterance of mean length, on no device."""
    network, seconds = random_network(name, "meta", tiny), float(iemocap_seconds(1000).mean())
    waveform = torch.empty(1, round(16_000 * seconds), device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        if name == "wav2vec_large":
            network.contextualise(network.encode(waveform))
        elif name.startswith("Whisper"):
            network(torch.empty(1, network.config.num_mel_bins, 3000, device="meta"))
        else:
            network(waveform)
    return float(counter.get_total_flops()) / seconds


def measure_extraction(
    device: torch.device, tiny: bool, rates: dict[str, float], budget: Budget
) -> list[dict[str, Any]]:
    """Measure seconds of audio per second; networks and precisions take turns."""
    runs: dict[str, Callable[[], Any]] = {}
    seconds_of_audio, rows = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, count in NETWORKS.items():
            durations = iemocap_seconds(2 if tiny else count).clip(max=1.0 if tiny else 20.0)
            waveforms = random_waveforms(durations)
            seconds_of_audio[name] = float(durations.sum())
            for precision in rates:
                network = random_network(name, device.type, tiny)
                representation = random_representation(name, network, precision, Path(folder))
                batches = [
                    [waveforms[index] for index in batch]
                    for batch in plan_batches(durations.tolist(), representation.batch_seconds)
                ]
                runs[f"{name}, {precision}"] = partial(_extract, representation, batches)
    for key, median in interleave(runs, 1 if tiny else ROUNDS, device, budget).items():
        name, precision = key.rsplit(", ", 1)
        rate = seconds_of_audio[name] / median
        share = rate * count_extraction(name, tiny) / rates[precision]
        rows.append(
            {
                "network": name,
                "precision": precision,
                "seconds of audio per second": rate,
                "share of the matrix rate": share,
            }
        )
    return rows


def _extract(representation: Any, batches: Sequence[Sequence[Any]]) -> None:
    for batch in batches:
        representation.extract(batch)


@cache
def stored_features(shape: InputShape, utterances: int) -> Features:
    return random_features(shape, iemocap_seconds(utterances))


def features_of(
    case: Case, tiny: bool, device: torch.device, utterances: int = UTTERANCES
) -> CellFeatures:
    count = 24 if tiny else utterances
    return cell_features([stored_features(shape, count) for shape in shapes_of(case, tiny)], device)


def build_trainer(case: Case, features: CellFeatures, tiny: bool, steps: int) -> Trainer:
    """Return a training that never ends, with an evaluation in proportion to some steps."""
    endless = {"maximum_steps": 10**9, "patience": 10**9, "steps_between_evaluations": steps}
    settings = training_settings(case.training | endless)
    utterances = torch.arange(len(features.index_of))
    count = max(1, min(DEVELOPMENT_UTTERANCES * steps // EVALUATION_STEPS, len(utterances) // 2))
    torch.manual_seed(0)
    model = model_settings(case.model)
    planned = plan_training("", model, features, settings, utterances[count:], utterances[:count])
    network = build_model(model, shapes_of(case, tiny), CLASSES).to(features.device)
    for standardise in network.standardisations():
        standardise.set_statistics(standardise.mean, standardise.scale, settings.feature_clip)
    return Trainer(network, features, planned.task)


class PlainUtterances(Dataset[tuple[Tensor, int]]):
    """Utterances in memory, as conventional training code reads them."""

    def __init__(self, features: Features, indices: range) -> None:
        self._features, self._indices = features, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        utterance = self._indices[index]
        frames = torch.from_numpy(self._features.gather([utterance])).float()
        return frames, utterance % CLASSES


class PlainTraining:
    """Conventional training: a data loader, padded batches, torch's layers."""

    def __init__(self, name: str, device: torch.device, tiny: bool, steps: int, workers: int):
        (shape,), case = shapes_of(STUDY_CASES[name], tiny), STUDY_CASES[name]
        features = stored_features(shape, 24 if tiny else UTTERANCES)
        count = min(
            DEVELOPMENT_UTTERANCES * steps // EVALUATION_STEPS + 1, len(features.lengths) // 2
        )
        options: dict[str, Any] = {"collate_fn": collate_padded, "num_workers": workers}
        options |= {"pin_memory": device.type == "cuda", "persistent_workers": workers > 0}
        # Batches that are ready before the clock starts are none of the loop's speed.
        options |= {"prefetch_factor": 1} if workers else {}
        training = PlainUtterances(features, range(count, len(features.lengths)))
        batch_size = case.training["batch_size"]
        self._loader = DataLoader(training, batch_size, shuffle=True, **options)
        self._development = DataLoader(PlainUtterances(features, range(count)), 64, **options)
        self._device, self._steps = device, steps
        self._model = PLAIN[name](shape.dimension, CLASSES).to(device)
        self._optimiser = torch.optim.Adam(self._model.parameters(), lr=1e-3)
        self._batches = self._endless()

    def _endless(self) -> Iterator[Any]:
        while True:
            yield from self._loader

    def _logits(self, frames: Tensor, lengths: Tensor) -> Any:
        frames = frames.to(self._device, non_blocking=True)
        return self._model(frames, lengths.to(self._device, non_blocking=True))

    def run(self) -> None:
        """Take the steps, and evaluate once; conventional code is not deterministic."""
        torch.use_deterministic_algorithms(False)
        self._model.train()
        for _ in range(self._steps):
            frames, lengths, labels = next(self._batches)
            logits = self._logits(frames, lengths)
            loss: Any = nn.functional.cross_entropy(logits, labels.to(self._device))
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
        self._model.eval()
        with torch.inference_mode():
            for frames, lengths, _ in self._development:
                self._logits(frames, lengths).argmax(dim=1).cpu()
        use_deterministic_algorithms(self._device)


def measure_training(
    device: torch.device, tiny: bool, budget: Budget
) -> dict[str, dict[str, float]]:
    """Measure steps per second of each case alone, of the plain loop, and on one CPU core."""
    steps = 1 if tiny else STEPS
    # Workers send batches of up to 300 MB, several of them, through shared memory.
    workers = 0 if tiny or shutil.disk_usage("/dev/shm").free < 8e9 else 4
    click.echo(f"\nthe plain loop's data loaders have {workers} workers")
    functions: dict[str, Callable[[], Any]] = {}
    for name, case in MEASURED_CASES.items():
        trainer = build_trainer(case, features_of(case, tiny, device), tiny, steps)
        functions[name] = partial(train_until_evaluation, trainer)
    for name in PLAIN:
        functions[f"plain {name}"] = PlainTraining(name, device, tiny, steps, workers).run
    seconds = interleave(functions, 1 if tiny else ROUNDS, device, budget)
    rates: dict[str, dict[str, float]] = {name: {} for name in MEASURED_CASES}
    for key, median in seconds.items():
        kind = "plain" if key.startswith("plain ") else "alone"
        rates[key.removeprefix("plain ")][kind] = steps / median
    return rates


def measure_one_core(tiny: bool, budget: Budget) -> dict[str, float]:
    """Measure steps per second of each case on one core of the CPU."""
    cpu, rates = torch.device("cpu"), {}
    for name, case in list(MEASURED_CASES.items())[: 2 if tiny else None]:
        if budget.has(5.0, f"{name} on one core"):
            trainer = build_trainer(case, features_of(case, tiny, cpu), tiny, 2)
            take_steps = partial(train_until_evaluation, trainer)
            rates[name] = 2 / interleave({name: take_steps}, 1, cpu, budget)[name]
    return rates


def measure_rates_of_process(
    device: str, tiny: bool, cases: Sequence[str], barrier: Any, queue: Any
) -> None:
    """Measure steps per second of cases in one of several processes, which wait for each other."""
    chosen = prepare(device)
    use_deterministic_algorithms(chosen)
    for name in cases:
        features = features_of(MEASURED_CASES[name], tiny, chosen)
        trainer = build_trainer(MEASURED_CASES[name], features, tiny, 1 if tiny else STEPS)
        train_until_evaluation(trainer)
        barrier.wait(60)
        seconds = seconds_of(partial(train_until_evaluation, trainer), chosen)
        queue.put((name, (1 if tiny else STEPS) / seconds))
        barrier.wait(60)
        del trainer, features
        free_memory(chosen)


def measure_processes(device: torch.device, tiny: bool) -> dict[str, float]:
    """Return the sum of the steps per second of processes that train one case of each kind."""
    context = multiprocessing.get_context("forkserver")  # none of its processes inherits CUDA
    context.set_forkserver_preload(["tests.gpu.cases"])
    count = PROCESSES
    cases = list({case.model["kind"]: name for name, case in MEASURED_CASES.items()}.values())
    if tiny:
        count, cases = 2, cases[:2]
    barrier, queue = context.Barrier(count), context.SimpleQueue()
    arguments = (device.type, tiny, cases, barrier, queue)
    processes = [
        context.Process(target=measure_rates_of_process, args=arguments) for _ in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise click.ClickException("a process that trains has failed, see above")
    rates = dict.fromkeys(cases, 0.0)
    while not queue.empty():
        name, rate = queue.get()
        rates[name] += rate
    return rates


def measure_start(device: torch.device, tiny: bool) -> float:
    """Measure a process from its start to the end of its first training step."""
    command = [sys.executable, __file__, "--device", device.type, "--first-step"]
    start = time.perf_counter()
    subprocess.run([*command, *(["--tiny"] if tiny else [])], check=True)
    return time.perf_counter() - start


def take_first_step(device: torch.device) -> None:
    use_deterministic_algorithms(device)
    case = STUDY_CASES["wav2vec"]
    trainer = build_trainer(case, features_of(case, True, device), True, 1)
    train_until_evaluation(trainer)
    synchronise(device)


def measure_grid(device: torch.device, tiny: bool, budget: Budget) -> dict[str, Any]:
    """Measure one training per size of the experiment wav2vec, at the size of IEMOCAP."""
    case, (shape,) = STUDY_CASES["wav2vec"], shapes_of(STUDY_CASES["wav2vec"], tiny)
    counts = (TRAINING_UTTERANCES, DEVELOPMENT_UTTERANCES, TEST_UTTERANCES)
    counts = (24, 4, 4) if tiny else counts
    stored = random_features(shape, iemocap_seconds(sum(counts)))
    start = time.perf_counter()
    features = cell_features([stored], device)
    synchronise(device)
    copying = time.perf_counter() - start
    training, development, test = torch.split(torch.arange(sum(counts)), list(counts))
    settings = training_settings(case.training | ({"maximum_steps": 2} if tiny else {}))
    model, shapes = model_settings(case.model), [shape]
    rows = []
    for size in STUDY["sizes"]:
        if not budget.has(10.0, f"a training on {size} utterances, of the grid"):
            continue
        subset = training if size == "all" else training[: int(size)]
        planned = plan_training("", model, features, settings, subset, development)
        start = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()):  # lines of progress
            ((_, trained),) = train_all("", [planned], shapes, CLASSES, features)
        predict_from_weights(
            model, shapes, CLASSES, trained.weights, features, test, settings.precision
        )
        seconds = time.perf_counter() - start
        rows.append({"size": size, "seconds": seconds, "steps": trained.result.steps})
    return {"seconds to copy the features": copying, "trainings": rows}


def count_training(case: Case) -> tuple[float, int]:
    """Return the FLOP of a training step with its share of an evaluation, and its time steps.

    Time steps are those of recurrent layers, which are computed one after the other: the longest
    utterance of the batch, in both directions. The batch has the quantiles of all lengths.
    """
    cpu, evaluated = torch.device("cpu"), DEVELOPMENT_UTTERANCES // EVALUATION_STEPS
    features = features_of(case, False, cpu, case.training["batch_size"] + evaluated)
    trainer = build_trainer(case, features, False, 1)
    time_steps = []

    def count_steps(encoder: RecurrentEncoder, inputs: tuple[Tensor, PackedLayout], _: Any) -> None:
        if encoder.training:
            time_steps.append(2 * len(encoder.networks) * max(inputs[1].lengths))

    for module in trainer.model.modules():
        if isinstance(module, RecurrentEncoder):
            module.register_forward_hook(count_steps)
    with FlopCounterMode(display=False) as counter:
        train_until_evaluation(trainer)
    return float(counter.get_total_flops()), sum(time_steps)


def print_hours(
    seconds_per_step: dict[str, float],
    audio_rates: dict[str, float],
    start_seconds: float,
    processes: int,
) -> float:
    """Print the arithmetic of the study's hours on one GPU, line by line, and return them."""
    folds, repeats = STUDY["protocol"]["folds"], STUDY["protocol"]["repeats"]
    sizes = len(STUDY["sizes"])
    trainings, cells = folds * sizes * repeats, folds * sizes
    click.echo(
        f"{trainings} trainings per experiment: {folds} folds × {sizes} sizes × {repeats} repeats; "
        "all steps are taken, early stopping only shortens it"
    )
    total = 0.0
    for name, seconds in seconds_per_step.items():
        steps = STUDY_CASES[name].training["maximum_steps"]
        total += trainings * steps * seconds
        click.echo(
            f"- {name}: {trainings} × {steps:,} steps × {1000 * seconds:.2f} ms = "
            f"{trainings * steps * seconds / 3600:.2f} h"
        )
    starts = len(seconds_per_step) * cells * start_seconds / processes
    total += starts
    click.echo(
        f"- starts: {len(seconds_per_step)} experiments × {cells} cells × {start_seconds:.1f} s / "
        f"{processes} at the same time = {starts / 3600:.2f} h"
    )
    for name, settings in STUDY["representations"].items():
        for network in NETWORKS_OF.get(settings["kind"], []):
            seconds = AUDIO_SECONDS / audio_rates[network]
            total += seconds
            click.echo(
                f"- extraction of {name}, as {network}: {AUDIO_SECONDS:,.0f} s of audio / "
                f"{audio_rates[network]:,.0f} = {seconds / 3600:.3f} h"
            )
    hours: float = total / 3600
    click.echo(
        f"- sum: {hours:.1f} h on one GPU; {hours / 8:.1f} h on eight, whose cells and shards are "
        "separate jobs. Support vector machines, hand-engineered features, BERT, reading, writing "
        "and tables are computed on CPUs or in minutes, and are not included."
    )
    return hours


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    click.echo("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        cells = [_text(row.get(column, "")) for column in columns]
        click.echo("| " + " | ".join(cells) + " |")


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def prepare(device: str) -> torch.device:
    torch.set_num_threads(1)  # as jobs of the workflow have
    return choose_device(device)


def measure(device: torch.device, tiny: bool, budget: Budget, output: Path | None) -> None:
    """Measure everything; print and write each part as soon as it is complete."""
    results: dict[str, Any] = {"device": device_name(device), "torch": torch.__version__}

    def write() -> None:
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            content = results | {"left out": budget.left_out}
            output.write_text(json.dumps(content, indent=1), encoding="utf-8")

    click.echo(
        f"{results['device']}, torch {torch.__version__}"
        + ("; tiny networks: only the program is tested, the figures mean nothing" if tiny else "")
    )
    rates = results["matrix rate, FLOP/s"] = measure_matrix_rates(device, tiny)
    print_table([{"matrix rate": key, "TFLOP/s": rate / 1e12} for key, rate in rates.items()])
    results["extraction"] = measure_extraction(device, tiny, rates, budget)
    print_table(results["extraction"])
    free_memory(device)
    use_deterministic_algorithms(device)  # as trainings do, and extraction does not
    results["start, s"] = measure_start(device, tiny)
    write()
    training = results["training, steps/s"] = measure_training(device, tiny, budget)
    print_table([{"steps per second": case} | row for case, row in training.items()])
    write()
    free_memory(device)
    grid = results["grid"] = measure_grid(device, tiny, budget)
    print_table(grid["trainings"])
    start = results["start, s"] + grid["seconds to copy the features"]
    print_hours_of_grid(grid["trainings"], start)
    write()
    free_memory(device)
    if budget.has(0.0 if tiny else 100.0, "several processes at the same time"):
        together = measure_processes(device, tiny)
        gains = {
            MEASURED_CASES[case].model["kind"]: rate / training[case]["alone"]
            for case, rate in together.items()
        }
        print_table(
            [{f"{TOGETHER}, relative to one": kind, "gain": gain} for kind, gain in gains.items()]
        )
        for case, row in training.items():
            if (kind := MEASURED_CASES[case].model["kind"]) in gains:
                row[TOGETHER] = row["alone"] * gains[kind]
        write()
    audio_rates = {
        row["network"]: row["seconds of audio per second"]
        for row in results["extraction"]
        if row["precision"] == "float32"
    }
    results["hours of config/iemocap.yaml"] = {}
    for column, processes in (("alone", 1), (TOGETHER, PROCESSES)):
        per_step = {
            case: 1 / row[column]
            for case, row in training.items()
            if column in row and case in STUDY_CASES
        }
        if per_step:
            click.echo(f"\nconfig/iemocap.yaml on one GPU; cells at the same time: {processes}")
            results["hours of config/iemocap.yaml"][column] = print_hours(
                per_step, audio_rates, start, processes
            )
    cores = results["one core, steps/s"] = measure_one_core(tiny, budget)
    print_table(
        [
            {"case": case, "one core, steps per second": rate, "GPU / core": each / rate}
            for case, rate in cores.items()
            for each in [training[case]["alone"]]
        ]
    )
    click.echo(f"\n{time.monotonic() - budget.begin:.0f} s")
    if budget.left_out:
        click.echo("left out, for time: " + "; ".join(budget.left_out))
    write()


def print_hours_of_grid(trainings: Sequence[dict[str, Any]], start_seconds: float) -> None:
    if not trainings:
        return
    folds, repeats = STUDY["protocol"]["folds"], STUDY["protocol"]["repeats"]
    mean = statistics.fmean(row["seconds"] for row in trainings)
    cells = folds * len(STUDY["sizes"])
    hours = cells * (repeats * mean + start_seconds) / 3600
    click.echo(
        f"\nwhole grid of wav2vec, one cell at a time, from {len(trainings)} of its "
        f"{cells * repeats} trainings: {cells} cells × ({repeats} × {mean:.1f} s + "
        f"{start_seconds:.1f} s from the start of a process to its first step) = {hours:.2f} h"
    )


def free_memory(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def count(rate: float, overhead: float, time_step: float, start: float) -> None:
    networks = dict.fromkeys(name for names in NETWORKS_OF.values() for name in names)
    per_second = {name: count_extraction(name, False) for name in {**networks, **NETWORKS}}
    print_table(
        [{"network": name, "GFLOP per s of audio": n / 1e9} for name, n in per_second.items()]
    )
    counts = {name: count_training(case) for name, case in STUDY_CASES.items()}
    print_table(
        [
            {"experiment": name, "GFLOP per step": flop / 1e9, "time steps": time_steps}
            for name, (flop, time_steps) in counts.items()
        ]
    )
    click.echo(
        f"\nassumed, not measured: {rate:g} FLOP/s; {1e3 * overhead:g} ms to start the operations "
        f"of a step; {1e6 * time_step:g} µs per time step of a recurrent layer, forward and "
        f"backward; {start:g} s to start a cell; one cell at a time"
    )
    print_hours(
        {
            name: flop / rate + overhead + time_steps * time_step
            for name, (flop, time_steps) in counts.items()
        },
        {name: rate / flop for name, flop in per_second.items()},
        start,
        1,
    )


@click.command(help=__doc__)
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--tiny", is_flag=True, help="Small features and networks, for a CPU.")
@click.option("--seconds", default=270.0, show_default=True, help="Time for all measurements.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file of the results.")
@click.option("--count", "only_count", is_flag=True, help="Count operations; needs no GPU.")
@click.option("--assumed-rate", default=3e13, show_default=True, help="FLOP/s.")
@click.option("--assumed-overhead", default=3e-3, show_default=True, help="s per training step.")
@click.option("--assumed-time-step", default=3e-5, show_default=True, help="s per time step.")
@click.option("--assumed-start", default=15.0, show_default=True, help="s per cell.")
@click.option("--first-step", is_flag=True, hidden=True)
def main(
    device: str,
    tiny: bool,
    seconds: float,
    output: Path | None,
    only_count: bool,
    assumed_rate: float,
    assumed_overhead: float,
    assumed_time_step: float,
    assumed_start: float,
    first_step: bool,
) -> None:
    if only_count:
        count(assumed_rate, assumed_overhead, assumed_time_step, assumed_start)
        return
    if device == "cuda" and not torch.cuda.is_available():
        click.echo("skipped: torch finds no CUDA GPU")
        return
    if first_step:
        take_first_step(prepare(device))
        return
    measure(prepare(device), tiny, Budget(seconds), output)


if __name__ == "__main__":
    main()
