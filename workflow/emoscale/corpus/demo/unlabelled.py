"""Synthetic speech without labels, by other voices than those of the demo corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.config.pretraining import DemoSpeech
from emoscale.corpus.demo.script import sample_text
from emoscale.corpus.demo.synthesis import Sentence, synthesise
from emoscale.corpus.demo.voice import EMOTIONS, sample_unlabelled_speaker, sample_voice
from emoscale.runtime.files import replacement_folder

_EXPRESSIVENESS = 1.0  # the demo corpus's default
_UTTERANCES_AT_A_TIME = 500  # each start of the program takes half a second


def generate_speech(settings: DemoSpeech) -> int:
    """Generate unlabelled speech in `settings.root`, replacing the folder.

    Each speaker has a folder with WAV files at 16 kHz. Equal settings generate byte-identical
    files. All emotions are equally frequent, and no file or name states them.

    Parameters
    ----------
    settings : DemoSpeech
        Settings of the speech.

    Returns
    -------
    int
        Number of utterances.

    Raises
    ------
    UserError
        If espeak-ng is not available.
    """
    step = max(1, _UTTERANCES_AT_A_TIME // settings.utterances_per_speaker)
    with replacement_folder(settings.root) as folder:
        for first in range(1, settings.speakers + 1, step):
            speakers = range(first, min(first + step, settings.speakers + 1))
            _write_speakers(folder, settings, speakers)
        (folder / "README.txt").write_text(
            "Synthetic speech without labels: no person speaks here.\n"
            f"Generated from {settings.model_dump_json(exclude={'root'})}\n"
        )
    return settings.speakers * settings.utterances_per_speaker


def _write_speakers(folder: Path, settings: DemoSpeech, speakers: range) -> None:
    sentences = [sentence for number in speakers for sentence in plan_speaker(settings, number)]
    description = f"speakers {speakers[0]} to {speakers[-1]} of {settings.speakers}"
    for sentence, speech in zip(sentences, synthesise(sentences, description), strict=True):
        path = folder / sentence.name.partition("_")[0] / f"{sentence.name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, speech.samples, SAMPLE_RATE, subtype="PCM_16")


def plan_speaker(settings: DemoSpeech, number: int) -> list[Sentence]:
    """Plan the utterances of one speaker.

    Parameters
    ----------
    settings : DemoSpeech
        Settings of the speech.
    number : int
        Number of the speaker, from 1.

    Returns
    -------
    list of Sentence
        The utterances, named by the numbers of speaker and utterance.
    """
    speaker = sample_unlabelled_speaker(settings.seed, number)
    generator = np.random.default_rng([settings.seed, 32, number])
    sentences = []
    for position in range(1, settings.utterances_per_speaker + 1):
        emotion = str(generator.choice(list(EMOTIONS)))
        text = sample_text(generator, emotion)
        voice = sample_voice(generator, speaker, emotion, _EXPRESSIVENESS)
        sentences.append(Sentence(f"speaker{number:03d}_{position:04d}", text, voice))
    return sentences
