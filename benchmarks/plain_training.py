"""A training as most public code does it: one process, a data loader, padded batches.

Used by training_speed.py to compare with. The model and its step are those of the kinds `pooled`
and `convolutional`: the same layers, loss, optimiser and number of steps and evaluations.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Utterances(Dataset[tuple[Tensor, int]]):
    """Of one HDF5 file: `frames` [total, 512] and `offsets` [utterances + 1]."""

    def __init__(self, path: Path, places: list[int], mean: Tensor, deviation: Tensor) -> None:
        self._file = h5py.File(path, "r")
        self._offsets = self._file["offsets"][:]
        self._labels = self._file["labels"][:]
        self._places, self._mean, self._deviation = places, mean, deviation

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        place = self._places[index]
        first, last = self._offsets[place : place + 2]
        frames = torch.from_numpy(self._file["frames"][first:last]).float()
        return (frames - self._mean) / self._deviation, int(self._labels[place])


def padded(batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """[batch, longest, dimension], lengths and labels."""
    frames = nn.utils.rnn.pad_sequence([frames for frames, _ in batch], batch_first=True)
    lengths = torch.tensor([len(frames) for frames, _ in batch])
    return frames, lengths, torch.tensor([label for _, label in batch])


class Pooled(nn.Module):
    """Linear, ReLU, masked mean, linear."""

    def __init__(self, dimension: int, classes: int) -> None:
        super().__init__()
        self.project = nn.Linear(dimension, 256)
        self.classify = nn.Linear(256, classes)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Logits of padded frames."""
        logits: Tensor = self.classify(masked_mean(torch.relu(self.project(frames)), lengths))
        return logits


class Convolutional(nn.Module):
    """Two convolutions of kernel 1 with ReLU and dropout, masked mean, hidden layer, linear."""

    def __init__(self, dimension: int, classes: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv1d(dimension, 128, 1), nn.Conv1d(128, 128, 1)])
        self.dropout = nn.Dropout(0.2)
        self.hidden = nn.Linear(128, 128)
        self.classify = nn.Linear(128, classes)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Logits of padded frames."""
        signal = frames.transpose(1, 2)
        for convolution in self.convolutions:
            signal = self.dropout(torch.relu(convolution(signal)))
        vectors = masked_mean(signal.transpose(1, 2), lengths)
        logits: Tensor = self.classify(self.dropout(torch.relu(self.hidden(vectors))))
        return logits


def masked_mean(frames: Tensor, lengths: Tensor) -> Tensor:
    """Over each utterance's own frames."""
    mask = torch.arange(frames.shape[1]) < lengths[:, None]
    return (frames * mask[:, :, None]).sum(dim=1) / lengths[:, None]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", type=Path)
    task: dict[str, Any] = json.loads(parser.parse_args().task.read_text())
    torch.set_num_threads(1)
    torch.manual_seed(task["seed"])
    path = Path(task["features"])
    with h5py.File(path, "r") as file:  # statistics of the training subset
        offsets = file["offsets"][:]
        sums, squares, count = np.zeros(512), np.zeros(512), 0
        for place in task["training"]:
            frames = file["frames"][offsets[place] : offsets[place + 1]].astype(np.float64)
            sums, squares = sums + frames.sum(axis=0), squares + (frames**2).sum(axis=0)
            count += len(frames)
    mean = torch.from_numpy(sums / count).float()
    deviation = torch.from_numpy(np.sqrt(squares / count - (sums / count) ** 2)).float()
    model = {"pooled": Pooled, "convolutional": Convolutional}[task["kind"]](512, 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    cost = nn.CrossEntropyLoss()
    batch = task["batch"]
    training = Utterances(path, task["training"], mean, deviation)
    development = Utterances(path, task["development"], mean, deviation)
    loader = DataLoader(training, batch, shuffle=True, collate_fn=padded)
    held_out = DataLoader(development, 64, collate_fn=padded)
    step, began = 0, time.perf_counter()
    while step < task["steps"]:
        for frames, lengths, labels in loader:
            model.train()
            optimiser.zero_grad()
            loss: Any = cost(model(frames, lengths), labels)
            loss.backward()
            optimiser.step()
            step += 1
            if step % task["evaluate_every"] == 0:
                model.eval()
                with torch.inference_mode():
                    right = sum(
                        int((model(frames, lengths).argmax(dim=1) == labels).sum())
                        for frames, lengths, labels in held_out
                    )
                print(step, right / len(development), flush=True)
            if step == task["steps"]:
                break
    print(f"{time.perf_counter() - began:.2f} seconds")


if __name__ == "__main__":
    main()
