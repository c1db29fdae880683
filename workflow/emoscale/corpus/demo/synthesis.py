"""Synthetic utterances: text and voice to a waveform, with espeak-ng in a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from emoscale.corpus.demo.voice import Voice, render
from emoscale.corpus.readers import text_key
from emoscale.runtime.errors import UserError
from emoscale.runtime.progress import WorkProgress


@dataclass(frozen=True)
class Sentence:
    """Text to synthesise."""

    name: str
    """Unique name."""
    text: str
    """Text, with tags such as `[LAUGHTER]`, which are not spoken."""
    voice: Voice


@dataclass(frozen=True)
class Speech:
    """A synthesised sentence."""

    samples: NDArray[np.float32]
    """Waveform ``[samples]`` at 16 kHz."""
    words: list[dict[str, object]]
    """Word times: `word`, and `start` and `end` in seconds, without the pause before the first."""


def synthesise(sentences: Sequence[Sentence], description: str) -> Iterator[Speech]:
    """Synthesise sentences.

    Parameters
    ----------
    sentences : sequence of Sentence
        The sentences; their names are different.
    description : str
        Name of the work in the progress.

    Yields
    ------
    Speech
        One per sentence, in order.

    Raises
    ------
    UserError
        If espeak-ng is not available.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = _run_espeak(sentences, folder)
        with WorkProgress(description, len(sentences), "utterances") as progress:
            for sentence in sentences:
                speech, rate = soundfile.read(
                    Path(folder) / f"{sentence.name}.wav", dtype="float32"
                )
                yield Speech(render(speech, rate, sentence.voice), words[sentence.name])
                progress.advance(1)


def _run_espeak(sentences: Sequence[Sentence], folder: str) -> dict[str, list[dict[str, object]]]:
    """Write the speech of each sentence to a folder, and return the word times by name."""
    requests = "".join(
        json.dumps(
            {
                "id": sentence.name,
                "text": (text_key(sentence.text) and _without_tags(sentence.text)) or "hm",
                "voice": sentence.voice.name,
                "rate": sentence.voice.words_per_minute,
                "pitch": sentence.voice.pitch,
                "range": sentence.voice.pitch_range,
            }
        )
        + "\n"
        for sentence in sentences
    )
    program = [sys.executable, "-m", "emoscale.corpus.demo.text_to_speech", folder]
    completed = subprocess.run(program, input=requests, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        reason = (completed.stderr.strip() or "no error message").splitlines()[-1]
        raise UserError(
            f"synthetic speech needs espeak-ng, which failed: {reason}; "
            "install it with: pip install -c envs/constraints.txt -e '.[demo]'"
        )
    return {
        result["id"]: result["words"]
        for result in (json.loads(line) for line in completed.stdout.splitlines())
    }


def _without_tags(text: str) -> str:
    """Remove tags such as `[LAUGHTER]`."""
    return " ".join(word for word in text.split() if not word.startswith("["))
