"""The training loop of pre-training: one process or several, saved and continued.

A training step computes a fixed number of parts of its batch and adds their gradients. The parts
are shared among the processes, and each part has another random state, so that the number of
processes changes the numbers by rounding only.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from emoscale.audio.utterances import prefetch
from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.config.pretraining import PretrainingSettings
from emoscale.pretraining.contrastive import ObjectiveSum
from emoscale.pretraining.crops import SpeechFile, plan_batches, read_batch
from emoscale.runtime.errors import UserError, error_summary
from emoscale.runtime.files import atomic_path

SECONDS_BETWEEN_SAVES = 120.0
"""A killed training loses at most so much work."""

MEASUREMENTS = 20
"""Number of times that the loss on held-out speech is measured, at equal distances."""

_HELD_OUT_BATCHES = 8

_DECODING_THREADS = {"cpu": 1, "cuda": 4}
"""Threads of each process that decode speech ahead, by the type of the device."""


@dataclass(frozen=True)
class Measurement:
    """State of a pre-training after some steps."""

    step: int
    """Steps completed."""

    hours: float
    """Speech that was trained on, hours; a recording counts each time."""

    loss: float
    """Mean loss per prediction since the last measurement, in nats."""

    ranks_first: float
    """Share of these predictions whose true frame had the highest score of all candidates."""

    held_out_loss: float
    """Mean loss per prediction on held-out speech."""

    held_out_ranks_first: float
    """Share of predictions on held-out speech whose true frame had the highest score."""

    chance: float
    """Share by chance: 1 / candidates."""


def learning_rate(settings: PretrainingSettings, step: int) -> float:
    """Return the learning rate of a step: fairseq's `cosine`, with both ends at 0.

    Parameters
    ----------
    settings : PretrainingSettings
        The pre-training.
    step : int
        Steps completed before.

    Returns
    -------
    float
        Learning rate.

    Examples
    --------
    >>> from emoscale.config.pretraining import Wav2VecPretraining
    >>> settings = Wav2VecPretraining.model_construct(
    ...     steps=1000, warmup_steps=500, learning_rate=0.005
    ... )
    >>> [round(learning_rate(settings, step), 6) for step in (0, 250, 500, 750, 1000)]
    [0.0, 0.0025, 0.005, 0.0025, 0.0]
    """
    warmup = settings.warmup_steps
    if step < warmup:
        return settings.learning_rate * step / warmup
    progress = (step - warmup) / (settings.steps - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Work:
    """What a pre-training computes with, besides its settings and network."""

    training: Sequence[SpeechFile]
    """Speech to train on."""

    held_out: Sequence[SpeechFile]
    """Speech that only measures the loss."""

    device: torch.device
    """Device of this process."""

    state: Path
    """File that the state is saved to, and continued from if it exists."""

    identity: str
    """Digest of what determines the numbers; a state with another one is not continued."""


@dataclass(frozen=True)
class Processes:
    """The number of this process, from 0, and how many share the training."""

    rank: int
    count: int

    @classmethod
    def current(cls) -> Processes:
        """Return the processes that `torchrun` started; without it, one."""
        if not torch.distributed.is_initialized():
            return cls(0, 1)
        return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())


def train(
    network: nn.Module,
    settings: PretrainingSettings,
    work: Work,
    report: Callable[[str], None],
) -> list[Measurement]:
    """Train a network, or continue a training that was interrupted.

    Parameters
    ----------
    network : nn.Module
        A network with the methods of `Wav2VecPretraining`, on `work.device`; changed in place. If
        it has a method `set_step`, that is called with the number of each step before it.
    settings : PretrainingSettings
        The pre-training.
    work : Work
        Speech, device and the file of the state.
    report : callable
        Receives a line of progress from time to time.

    Returns
    -------
    list of Measurement
        The measurements, the first of them before the first step.

    Raises
    ------
    UserError
        If there are more processes than parts of a batch, the crops or all recordings are too
        short, a recording cannot be read, or the loss is no longer finite.
    """
    processes, parts = Processes.current(), settings.parts
    if processes.count > parts:
        raise UserError(
            f"{processes.count} processes cannot share the {parts} parts of a batch "
            "(batch_seconds / micro_batch_seconds); lower one of them"
        )
    run = _Run(network, settings, work, processes)
    run.restore(report)
    for kind, usable, listed in (
        ("training", run.training, work.training),
        ("held-out", run.held_out, work.held_out),
    ):
        if len(usable) < len(listed):
            report(
                f"{len(listed) - len(usable):,} of {len(listed):,} {kind} recordings are left out: "
                f"a prediction needs {run.shortest:.3f} s"
            )
    if run.step == 0:
        run.measure()
    else:
        report(f"continuing after step {run.step:,} of {settings.steps:,}")
    progress = _Progress(run, report)
    last_save = time.monotonic()
    for step, batches in run.batches(run.step, parts):
        run.train_step(step, batches)
        progress.update()
        measured, due = (n * MEASUREMENTS // settings.steps for n in (step, step + 1))
        if due > measured:
            run.measure()
        # Each process decides by another clock, so the first one's decision is shared.
        if run.agree(time.monotonic() - last_save > SECONDS_BETWEEN_SAVES):
            run.save()
            last_save = time.monotonic()
    return run.measurements


class _Run:
    """A training in progress."""

    def __init__(
        self, network: Any, settings: PretrainingSettings, work: Work, processes: Processes
    ) -> None:
        self.settings, self.work, self.processes = settings, work, processes
        self.network: Any = network
        self.model: Any = network
        if processes.count > 1:
            self.model = DistributedDataParallel(network)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=0.0, weight_decay=settings.weight_decay
        )
        self.step, self.hours = 0, 0.0
        self.measurements: list[Measurement] = []
        self.sums = torch.zeros(3, dtype=torch.float64)  # loss, predictions, first
        self.shortest = (network.minimum_samples + 2) / SAMPLE_RATE
        self.training = self._usable(work.training, "training")
        self.held_out = self._usable(work.held_out, "held-out")

    def batches(self, first: int, parts: int) -> Iterator[tuple[int, list[tuple[int, Tensor]]]]:
        """Yield the number of each step with this process's parts of it: number and waveforms."""
        mine = range(self.processes.rank, parts, self.processes.count)
        settings = self.settings
        plan = plan_batches(
            self.training, settings.part_seconds, settings.crop_seconds, settings.seed
        )
        numbered = itertools.islice(
            zip(itertools.count(), plan, strict=False), first * parts, settings.steps * parts
        )
        shared = ((number, batch) for number, batch in numbered if number % parts in mine)
        # Threads, because decoding releases the interpreter's lock.
        threads = _DECODING_THREADS[self.work.device.type]
        reading = prefetch(
            shared, lambda item: read_batch(item[1]), buffer_size=2 * len(mine), threads=threads
        )
        step_batches = []
        for (number, _), waveforms in reading:
            step_batches.append((number, waveforms))
            if len(step_batches) == len(mine):
                yield number // parts, step_batches
                step_batches = []

    def _usable(self, files: Sequence[SpeechFile], kind: str) -> list[SpeechFile]:
        """Return the recordings that are long enough for a prediction."""
        if self.settings.crop_seconds < self.shortest:
            raise UserError(
                f"crop_seconds is {self.settings.crop_seconds}, and a prediction of this network "
                f"needs {self.shortest:.3f} s; raise crop_seconds, or change the architecture"
            )
        usable = [file for file in files if file.seconds >= self.shortest]
        if not usable:
            raise UserError(
                f"none of the {len(files):,} {kind} recordings has the {self.shortest:.3f} s that "
                "a prediction of this network needs; add longer ones, or change the architecture"
            )
        return usable

    def train_step(self, step: int, batches: Sequence[tuple[int, Tensor]]) -> None:
        """Compute one training step from this process's parts of the batch."""
        self.model.train()
        if hasattr(self.network, "set_step"):
            self.network.set_step(step)
        self.optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(4, dtype=torch.float64)
        for position, (number, waveforms) in enumerate(batches):
            is_last = position == len(batches) - 1
            with contextlib.nullcontext() if is_last else self._without_exchange():
                objective = self._objective(waveforms, self.settings.seed, 1 + number)
                objective.loss.backward()  # type: ignore[no-untyped-call]
            seconds = waveforms.numel() / SAMPLE_RATE
            sums += torch.tensor(
                [objective.loss.item(), objective.count, objective.first.item(), seconds],
                dtype=sums.dtype,
            )
        if self.processes.count > 1:
            torch.distributed.all_reduce(sums)
        if not math.isfinite(sums[0]):
            raise UserError(
                f"the loss of step {step} is not finite; lower learning_rate, or set gradient_clip"
            )
        # DistributedDataParallel gives the mean over processes of the sum over predictions.
        scale = self.processes.count / float(sums[1])
        for parameter in self.network.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(scale)
        if self.settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, step)
        self.optimizer.step()
        self.sums += sums[:3]
        self.hours += float(sums[3]) / 3600
        self.step = step + 1

    def _without_exchange(self) -> contextlib.AbstractContextManager[Any]:
        if isinstance(self.model, DistributedDataParallel):
            return self.model.no_sync()
        return contextlib.nullcontext()

    def _objective(self, waveforms: Tensor, seed: int, number: int) -> ObjectiveSum:
        """Compute the objective of a batch, with a random state that depends on its number."""
        generator = torch.Generator().manual_seed(_seed(seed, number))
        torch.manual_seed(_seed(seed, number))  # of dropout and Gumbel noise
        sampled = self.network.sample(*waveforms.shape, generator).to(self.work.device)
        autocast = torch.autocast(
            self.work.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"
        )
        with autocast:
            objective: ObjectiveSum = self.model(waveforms.to(self.work.device), sampled)
        return objective

    def measure(self) -> None:
        """Measure the loss on held-out speech; all processes compute the same."""
        self.model.eval()
        settings = self.settings
        sums = torch.zeros(3, dtype=torch.float64)
        plan = plan_batches(
            self.held_out, settings.part_seconds, settings.crop_seconds, settings.seed
        )
        with torch.no_grad():
            for number, batch in enumerate(itertools.islice(plan, _HELD_OUT_BATCHES)):
                objective = self._objective(read_batch(batch), settings.seed + 1, number)
                sums += torch.tensor(
                    [objective.loss.item(), objective.count, objective.first.item()],
                    dtype=sums.dtype,
                )
        loss, first = _means(self.sums)
        self.measurements.append(
            Measurement(self.step, self.hours, loss, first, *_means(sums), self.network.chance)
        )
        self.sums.zero_()

    def agree(self, decision: bool) -> bool:
        """Return the decision of the first process."""
        if self.processes.count == 1:
            return decision
        shared = torch.tensor([int(decision)])
        torch.distributed.broadcast(shared, 0)
        return bool(shared)

    def save(self) -> None:
        """Save all that the next step depends on."""
        if self.processes.rank:
            return
        state = {
            "identity": self.work.identity,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "hours": self.hours,
            "sums": self.sums,
            "measurements": [asdict(each) for each in self.measurements],
        }
        self.work.state.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.work.state) as temporary:
            torch.save(state, temporary)

    def restore(self, report: Callable[[str], None]) -> None:
        """Continue from the saved state, if it is of this training and not damaged."""
        if not self.work.state.is_file():
            return
        content = self.work.state.read_bytes()  # an error of the disk does not mean a damaged file
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            identity = state["identity"]
        except Exception as error:  # torch raises many types for damaged files
            report(
                f"{self.work.state} is damaged ({error_summary(error)}); the training begins again"
            )
            return
        if identity != self.work.identity:
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.hours = state["step"], state["hours"]
        self.sums = state["sums"]
        self.measurements = [Measurement(**each) for each in state["measurements"]]


def _means(sums: Tensor) -> tuple[float, float]:
    loss, count, first = (float(value) for value in sums)
    return (loss / count, first / count) if count else (math.nan, math.nan)


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class _Progress:
    """Lines of progress: steps, speech per second, loss and the time that is left."""

    def __init__(self, run: _Run, report: Callable[[str], None]) -> None:
        self._run, self._report = run, report
        self._first_step, self._first_hours = run.step, run.hours
        self._start = self._last = time.monotonic()

    def update(self) -> None:
        run, now = self._run, time.monotonic()
        if now - self._last < 10.0 and run.step < run.settings.steps:
            return
        self._last = now
        elapsed = now - self._start
        loss, first = _means(run.sums)
        left = elapsed * (run.settings.steps - run.step) / (run.step - self._first_step)
        self._report(
            f"step {run.step:,} of {run.settings.steps:,}, {run.hours:.2f} hours of speech at "
            f"{(run.hours - self._first_hours) * 3600 / elapsed:,.0f} s per second, loss "
            f"{loss:.3f}, true frame first {first:.1%}, about {left:,.0f} s left"
        )
