"""Conventional training code: one process per training, a data loader, padded batches.

It is the reference of training_speed.py and, on a GPU, of gpu_speed.py. Models and training are
those of the kinds `pooled`, `convolutional` and `recurrent`: the same layers, loss, optimiser and
number of steps and evaluations.
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
    """Utterances of an HDF5 file with `frames` [total, 512] and `offsets` [utterances + 1]."""

    def __init__(self, path: Path, indices: list[int], mean: Tensor, std: Tensor) -> None:
        self._file = h5py.File(path, "r")
        self._offsets = self._file["offsets"][:]
        self._labels = self._file["labels"][:]
        self._indices, self._mean, self._std = indices, mean, std

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        row = self._indices[index]
        start, stop = self._offsets[row : row + 2]
        frames = torch.from_numpy(self._file["frames"][start:stop]).float()
        return (frames - self._mean) / self._std, int(self._labels[row])


def collate_padded(batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return padded frames [batch, longest, dimension], lengths and labels."""
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
        """Compute logits of padded frames."""
        logits: Tensor = self.classify(masked_mean(torch.relu(self.project(frames)), lengths))
        return logits


class Convolutional(nn.Module):
    """Two convolutions with ReLU and dropout, masked mean, hidden layer, linear."""

    def __init__(self, dimension: int, classes: int, kernels: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        first, second = kernels
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(dimension, 128, first, padding=first // 2),
                nn.Conv1d(128, 128, second, padding=second // 2),
            ]
        )
        self.dropout = nn.Dropout(0.2)
        self.hidden = nn.Linear(128, 128)
        self.classify = nn.Linear(128, classes)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits of padded frames."""
        signal = frames.transpose(1, 2)
        for convolution in self.convolutions:
            signal = self.dropout(torch.relu(convolution(signal)))
        vectors = masked_mean(signal.transpose(1, 2), lengths)
        logits: Tensor = self.classify(self.dropout(torch.relu(self.hidden(vectors))))
        return logits


class Recurrent(nn.Module):
    """Bidirectional GRU on packed sequences, attention pooling, dropout, linear."""

    def __init__(self, dimension: int, classes: int) -> None:
        super().__init__()
        self.encoder = nn.GRU(dimension, 100, batch_first=True, bidirectional=True)
        self.score = nn.Sequential(nn.Linear(200, 128), nn.Tanh(), nn.Linear(128, 1))
        self.dropout = nn.Dropout(0.5)
        self.classify = nn.Linear(200, classes)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits of padded frames."""
        packed = nn.utils.rnn.pack_padded_sequence(
            frames, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        scores = self.score(states)[:, :, 0].masked_fill(~mask_of(states, lengths), -torch.inf)
        vectors = (states * scores.softmax(dim=1)[:, :, None]).sum(dim=1)
        logits: Tensor = self.classify(self.dropout(vectors))
        return logits


def mask_of(frames: Tensor, lengths: Tensor) -> Tensor:
    """Return [batch, longest], true where padded frames are those of an utterance."""
    return torch.arange(frames.shape[1], device=frames.device) < lengths[:, None]


def masked_mean(frames: Tensor, lengths: Tensor) -> Tensor:
    """Compute the mean of each utterance over its frames, without padding."""
    return (frames * mask_of(frames, lengths)[:, :, None]).sum(dim=1) / lengths[:, None]


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
        for index in task["training"]:
            frames = file["frames"][offsets[index] : offsets[index + 1]].astype(np.float64)
            sums, squares = sums + frames.sum(axis=0), squares + (frames**2).sum(axis=0)
            count += len(frames)
    mean = torch.from_numpy(sums / count).float()
    std = torch.from_numpy(np.sqrt(squares / count - (sums / count) ** 2)).float()
    model = {"pooled": Pooled, "convolutional": Convolutional}[task["kind"]](512, 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    batch = task["batch"]
    training = Utterances(path, task["training"], mean, std)
    development = Utterances(path, task["development"], mean, std)
    loader = DataLoader(training, batch, shuffle=True, collate_fn=collate_padded)
    development_loader = DataLoader(development, 64, collate_fn=collate_padded)
    step, start = 0, time.perf_counter()
    while step < task["steps"]:
        for frames, lengths, labels in loader:
            model.train()
            optimiser.zero_grad()
            loss: Any = criterion(model(frames, lengths), labels)
            loss.backward()
            optimiser.step()
            step += 1
            if step % task["evaluate_every"] == 0:
                model.eval()
                with torch.inference_mode():
                    correct = sum(
                        int((model(frames, lengths).argmax(dim=1) == labels).sum())
                        for frames, lengths, labels in development_loader
                    )
                print(step, correct / len(development), flush=True)
            if step == task["steps"]:
                break
    print(f"{time.perf_counter() - start:.2f} seconds")


if __name__ == "__main__":
    main()
