"""Check that trainings and features on a GPU are reproducible and equal those on the CPU.

Features and weights are random, so nothing is downloaded. Every kind of network is trained shortly
in processes of their own, alone and at the same time on the GPU, one of which is killed and started
again; the weights must be bitwise equal. What is resumed is the cache of finished trainings, not
the tables of a cell, which `make test` covers. Probabilities and features are compared with those
of the CPU. There is nothing to check without a GPU, except with --device cpu, which only checks
this program.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import json
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from emoscale.models.contract import InputShape
from emoscale.runtime.devices import choose_device, device_name, use_deterministic_algorithms
from emoscale.runtime.errors import error_summary
from emoscale.store.features import Features
from emoscale.training.cache import TrainingCache
from emoscale.training.cell_features import CellFeatures
from emoscale.training.tasks import TrainedModel, Weights, predict_from_weights, train_all
from tests.gpu.cases import (
    CASES,
    CLASSES,
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

TRAININGS_BEFORE_KILL = 3
STEPS_WITHOUT_DROPOUT = 4
TINY_CASES: tuple[str, ...] = (
    "pooled, layers",
    "pooled, mean, bfloat16",
    "recurrent, lstm",
    "late_fusion",
)
TINY_CASES += ("aligned_fusion, within_word", "waveform")
NETWORKS: tuple[str, ...] = ("wav2vec_large", "wav2vec 2.0 base", "WavLM base", "Whisper base")
TINY_NETWORKS = ("wav2vec_large", "WavLM base", "Whisper base")
FLOAT32_BOUND = 1e-4
BFLOAT16_BOUND = {"probabilities": 0.02, "features": 0.1}
"""Only gross errors exceed them: the type itself has an error of up to 0.4 % per value."""


@dataclass(frozen=True)
class Result:
    """One line of the table of results."""

    check: str
    case: str
    value: str
    passed: bool


@dataclass(frozen=True)
class Sizes:
    """Device and amount of work."""

    device: str
    tiny: bool = False

    utterances: int = 96
    """Number of utterances, a quarter of them for development."""

    steps: int = 12
    """Steps of a training."""

    cases: tuple[str, ...] = tuple(CASES)
    """Names of networks that are trained."""


@cache
def stored_features(shape: InputShape, utterances: int) -> Features:
    return random_features(shape, iemocap_seconds(utterances), std_of_means=0.5)


def features_of(
    name: str, sizes: Sizes, device: torch.device, resident: bool | None = None
) -> CellFeatures:
    shapes = shapes_of(CASES[name], sizes.tiny)
    stored = [stored_features(shape, sizes.utterances) for shape in shapes]
    return cell_features(stored, device, resident)


def train(
    name: str, sizes: Sizes, features: CellFeatures, dropout: float | None = None
) -> TrainedModel:
    use_deterministic_algorithms(features.device)
    case, steps = CASES[name], sizes.steps
    training = {**case.training, "maximum_steps": steps, "steps_between_evaluations": steps // 2}
    development, training_indices = torch.arange(sizes.utterances).tensor_split(
        [sizes.utterances // 4]
    )
    planned = plan_training(
        name,
        model_settings(case.model, dropout),
        features,
        training_settings(training),
        training_indices,
        development,
    )
    with contextlib.redirect_stderr(io.StringIO()):  # a line of progress per training
        ((_, trained),) = train_all(name, [planned], shapes_of(case, sizes.tiny), CLASSES, features)
    return trained


def train_cases(names: Sequence[str], folder: Path, sizes: Sizes, start: Any) -> None:
    """Train cases that are not in a cache; a process of its own runs it."""
    device = prepare(sizes.device)
    trainings = TrainingCache(folder)
    start.wait(120)
    for name in names:
        if trainings.get(name) is None:
            try:
                trainings.put(name, train(name, sizes, features_of(name, sizes, device)))
            except Exception:  # the missing weights are a failed comparison; the others go on
                traceback.print_exc()


def prepare(device: str) -> torch.device:
    chosen = choose_device(device)
    if chosen.type == "cpu":  # otherwise the CPU only computes what the GPU is compared with
        torch.set_num_threads(1)
    return chosen


def run_processes(
    orders: Mapping[Path, Sequence[str]], sizes: Sizes, killed: Path | None = None
) -> int:
    """Train in one process per folder, all at the same time.

    Return the number of trainings in the folder whose process is killed after the first ones.
    """
    context = multiprocessing.get_context("forkserver")  # none of its processes inherits CUDA
    context.set_forkserver_preload(["tests.gpu.cases"])
    start = context.Barrier(len(orders))
    processes = {
        folder: context.Process(target=train_cases, args=(names, folder, sizes, start))
        for folder, names in orders.items()
    }
    for process in processes.values():
        process.start()
    count = 0
    if killed is not None:
        victim = processes.pop(killed)
        while victim.is_alive() and count < TRAININGS_BEFORE_KILL:
            time.sleep(0.002)
            count = len(list(killed.glob("*.safetensors")))
        victim.kill()
        victim.join()
        count = len(list(killed.glob("*.safetensors")))
    for process in processes.values():
        process.join()
        if process.exitcode:
            raise click.ClickException("a process that trains has failed, see above")
    return count


def check_processes(folder: Path, sizes: Sizes) -> list[Result]:
    """Compare the weights of a process alone with those of several at once, one of them killed."""
    alone, second, third, killed = (folder / name for name in ("a", "b", "c", "d"))
    names = sizes.cases
    run_processes({alone: names}, sizes)
    orders = {second: names, third: names[::-1], killed: [*names[1:], names[0]]}
    finished = run_processes(orders, sizes, killed)
    run_processes({killed: names}, sizes)
    value = f"after {finished} of {len(names)} trainings"
    return [
        Result("killed", "one process", value, TRAININGS_BEFORE_KILL <= finished < len(names)),
        compare_weights("alone, and with others at the same time", names, alone, second),
        compare_weights("alone, and with others in another order", names, alone, third),
        compare_weights("alone, and killed and started again", names, alone, killed),
    ]


def compare_weights(check: str, names: Sequence[str], first: Path, second: Path) -> Result:
    different = []
    for name in names:
        a, b = (TrainingCache(folder).get(name) for folder in (first, second))
        if a is None or b is None or not are_equal(a.weights, b.weights):
            different.append(name)
    equal = f"{len(names) - len(different)} of {len(names)} trainings bitwise equal"
    return Result(check, ", ".join(different) or "all", equal, not different)


def are_equal(first: Weights, second: Weights) -> bool:
    return all(torch.equal(first[key], second[key]) for key in first)


def check_probabilities(name: str, folder: Path, sizes: Sizes) -> list[Result]:
    """Compare probabilities of equal weights, and of weights trained without dropout."""
    device, cpu = torch.device(sizes.device), torch.device("cpu")
    case, shapes = CASES[name], shapes_of(CASES[name], sizes.tiny)
    features = {where: features_of(name, sizes, where) for where in (device, cpu)}
    trained = TrainingCache(folder / "a").get(name)
    if trained is None:
        return [Result("probabilities", name, "the training failed, see above", False)]
    weights = trained.weights

    def predict(weights: Weights, where: torch.device, precision: str = "float32") -> Any:
        indices = torch.arange(sizes.utterances // 2)
        model = model_settings(case.model)
        return predict_from_weights(
            model, shapes, CLASSES, weights, features[where], indices, precision
        )

    expected = predict(weights, cpu)
    results = []
    for precision, bound in (
        ("float32", FLOAT32_BOUND),
        ("bfloat16", BFLOAT16_BOUND["probabilities"]),
    ):
        error = np.abs(predict(weights, device, precision) - expected).max()
        of_cpu = np.abs(predict(weights, cpu, precision) - expected).max()
        value = f"{error:.1e}" + (f" (CPU: {of_cpu:.1e})" if precision == "bfloat16" else "")
        check = f"probabilities, {precision}, and the CPU's in float32: at most {bound:g}"
        results.append(Result(check, name, value, bool(error <= bound)))
    if "precision" not in case.training:
        short = replace(sizes, steps=min(STEPS_WITHOUT_DROPOUT, sizes.steps))
        first, second = (
            predict(train(name, short, features[where], dropout=0.0).weights, cpu)
            for where in (device, cpu)
        )
        error = np.abs(first - second).max()
        check = (
            f"probabilities after {short.steps} steps here and on the CPU: at most "
            f"{FLOAT32_BOUND:g}"
        )
        results.append(Result(check, name, f"{error:.1e}", bool(error <= FLOAT32_BOUND)))
    return results


def check_residency(name: str, sizes: Sizes) -> list[Result]:
    """Compare features resident on the device with those that are gathered from main memory."""
    device = torch.device(sizes.device)
    first, second = (
        train(name, sizes, features_of(name, sizes, device, resident)).weights
        for resident in (True, False)
    )
    equal = are_equal(first, second)
    value = "bitwise equal weights" if equal else "different weights"
    return [Result("features on the device, and in main memory", name, value, equal)]


def check_out_of_memory(sizes: Sizes) -> list[Result]:
    """Compare a training that runs out of the GPU's memory with an undisturbed one.

    After the features are copied, the process may use 16 MB more; a batch needs about 100 MB, and
    the features have 500.
    """
    name, sizes = "pooled, mean", replace(sizes, utterances=1024)
    device = torch.device(sizes.device)
    expected = train(name, sizes, features_of(name, sizes, device, True)).weights
    gc.collect()
    torch.cuda.empty_cache()
    features = features_of(name, sizes, device, True)
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 16e6) / total)
    try:
        weights = train(name, sizes, features).weights
    finally:  # the next checks need the memory
        torch.cuda.set_per_process_memory_fraction(1.0)
    equal, ran_out = are_equal(expected, weights), not features.resident
    value = "ran out of memory" if ran_out else "did not run out of memory"
    value += ", bitwise equal weights" if equal else ", different weights"
    check = "features on the device, and after its memory ran out"
    return [Result(check, name, value, equal and ran_out)]


def check_extraction(name: str, folder: Path, sizes: Sizes) -> list[Result]:
    """Compare features with those of the CPU in float32, and batches with single utterances."""
    torch.use_deterministic_algorithms(False)  # as in the workflow
    seconds = iemocap_seconds(4 if sizes.tiny else 8).clip(max=2.0 if sizes.tiny else 20.0)
    waveforms = random_waveforms(seconds)
    network = random_network(name, "cpu", sizes.tiny)

    def represent(device: str, precision: str) -> Any:
        on_device = copy.deepcopy(network).to(device)
        return random_representation(name, on_device, precision, folder, "float32")

    def extract(representation: Any, batches: list[list[Any]]) -> list[Any]:
        outputs = [each for batch in batches for each in representation.extract(batch)]
        return [np.asarray(getattr(each, "frames", each)) for each in outputs]

    single = [[waveform] for waveform in waveforms]
    exact = extract(represent("cpu", "float32"), single)
    results = []
    for precision, bound in (("float32", FLOAT32_BOUND), ("bfloat16", BFLOAT16_BOUND["features"])):
        representation = represent(sizes.device, precision)
        batched, alone = extract(representation, [waveforms]), extract(representation, single)
        for check, computed, expected in (
            ("features in a batch, and the CPU's in float32", batched, exact),
            ("features in a batch and one by one", batched, alone),
        ):
            errors = [
                np.linalg.norm(a - b) / np.linalg.norm(b)
                for a, b in zip(computed, expected, strict=True)
            ]
            text = f"{check}, {precision}: relative error at most {bound:g}"
            worst = float(np.max(errors))  # NaN if one is
            results.append(Result(text, name, f"{worst:.1e}", worst <= bound))
    return results


@click.command(help=__doc__)
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--tiny", is_flag=True, help="Small features and networks, for a CPU.")
@click.option("--seconds", default=270.0, show_default=True, help="No check is started later.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file of the results.")
def main(device: str, tiny: bool, seconds: float, output: Path | None) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        click.echo("skipped: torch finds no CUDA GPU")
        return
    begin, results = time.monotonic(), list[Result]()
    sizes, networks = Sizes(device), NETWORKS
    if tiny:
        sizes, networks = Sizes(device, True, 24, 2, TINY_CASES), TINY_NETWORKS
    name = device_name(prepare(device))
    click.echo(f"{name}, torch {torch.__version__}\n")
    click.echo("| check | case | result | passed |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        checks: list[partial[list[Result]]] = [
            partial(check_processes, folder, sizes),
            *(partial(check_probabilities, name, folder, sizes) for name in sizes.cases),
            *(partial(check_residency, name, sizes) for name in sizes.cases),
        ]
        if device == "cuda":
            checks.append(partial(check_out_of_memory, sizes))
        checks += [partial(check_extraction, name, folder, sizes) for name in networks]
        left_out = 0
        for check in checks:
            if time.monotonic() - begin > seconds:
                left_out += 1
                continue
            try:
                computed = check()
            except Exception as error:  # it is a failed check; the others go on
                traceback.print_exc()
                name_of_check = " ".join(map(str, (check.func.__name__, *check.args[:1])))
                computed = [Result("error", name_of_check, error_summary(error), False)]
            for result in computed:
                results.append(result)
                passed = "yes" if result.passed else "NO"
                click.echo(f"| {result.check} | {result.case} | {result.value} | {passed} |")
            if device == "cuda":
                torch.cuda.empty_cache()
    failed = sum(not result.passed for result in results)
    click.echo(
        f"\n{len(results) - failed} of {len(results)} comparisons passed in "
        f"{time.monotonic() - begin:.0f} s"
        + (f"; {left_out} of {len(checks)} checks were left out, for time" if left_out else "")
    )
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        record = {"device": name, "torch": torch.__version__, "checks_left_out": left_out}
        output.write_text(json.dumps(record | {"results": [asdict(each) for each in results]}))
    sys.exit(failed > 0 or left_out > 0)


if __name__ == "__main__":
    main()
