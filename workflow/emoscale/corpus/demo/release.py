"""Writer of the demo corpus: files in IEMOCAP's release layout, with its irregularities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.config.corpus import DemoCorpus
from emoscale.corpus.demo.script import Turn, plan_session
from emoscale.corpus.demo.synthesis import Sentence, synthesise
from emoscale.corpus.demo.voice import Voice, sample_speaker, sample_voice
from emoscale.runtime.files import replacement_folder

APPLE_DOUBLE = bytes.fromhex("00051607") + bytes(28)


def generate_demo(settings: DemoCorpus) -> int:
    """Generate the demo corpus in `settings.root`, replacing the folder.

    Equal settings generate byte-identical files.

    Parameters
    ----------
    settings : DemoCorpus
        Settings of the demo corpus.

    Returns
    -------
    int
        Number of utterances.

    Raises
    ------
    UserError
        If espeak-ng is not available.
    """
    count = 0
    with replacement_folder(settings.root) as release:
        for session in range(1, settings.sessions + 1):
            turns = plan_session(settings, session)
            _write_session(release / f"Session{session}", turns, settings, session)
            count += len(turns)
        (release / "README.txt").write_text(
            "A synthetic corpus in IEMOCAP's layout: no person speaks here.\n"
            f"Generated from {settings.model_dump_json(exclude={'root'})}\n"
        )
    return count


def _write_session(folder: Path, turns: list[Turn], settings: DemoCorpus, session: int) -> None:
    generator = np.random.default_rng([settings.seed, 31, session])
    speakers = {sex: sample_speaker(settings.seed, session, sex) for sex in "FM"}
    voices = {
        turn.name: sample_voice(
            generator, speakers[turn.sex], turn.portrayed, settings.expressiveness
        )
        for turn in turns
    }
    times: dict[str, tuple[float, float]] = {}
    time = 5.0
    sentences = [Sentence(turn.name, turn.text, voices[turn.name]) for turn in turns]
    for turn, speech in zip(turns, synthesise(sentences, f"session {session}"), strict=True):
        _write_wav(folder, turn, speech.samples)
        _write_alignment(folder, turn, speech.words, voices[turn.name])
        times[turn.name] = (time, time + len(speech.samples) / SAMPLE_RATE)
        time = times[turn.name][1] - 0.2  # turns overlap a little
    line_end = "\r\n" if session == 2 else "\n"
    for dialog in sorted({turn.dialog for turn in turns}):
        of_dialog = [turn for turn in turns if turn.dialog == dialog]
        _write_labels(folder, dialog, of_dialog, times, generator, line_end)
        _write_transcripts(folder, dialog, of_dialog, times, line_end)
    _add_defects(folder, turns, session)


def _write_wav(folder: Path, turn: Turn, samples: NDArray[np.float32]) -> None:
    path = _wav_path(folder, turn)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")


def _wav_path(folder: Path, turn: Turn) -> Path:
    return folder / "sentences" / "wav" / turn.dialog / f"{turn.name}.wav"


def _alignment_path(folder: Path, turn: Turn) -> Path:
    return folder / "sentences" / "ForcedAlignment" / turn.dialog / f"{turn.name}.wdseg"


def _write_alignment(
    folder: Path, turn: Turn, words: list[dict[str, object]], voice: Voice
) -> None:
    rows = [("<s>", 0, round(voice.lead_seconds * 100) - 1)]
    for word in words:
        first = round((voice.lead_seconds + float(str(word["start"]))) * 100)
        last = round((voice.lead_seconds + float(str(word["end"]))) * 100) - 1
        name = "".join(c for c in str(word["word"]).upper() if c.isalnum() or c == "'")
        rows.append((name, max(first, rows[-1][2] + 1), max(last, first, rows[-1][2] + 1)))
    end = rows[-1][2] + 1
    rows.append(("</s>", end, end + round(voice.trail_seconds * 100)))
    lines = [f"{'SFrm':>5} {'EFrm':>5} {'SegAScr':>10} Word"]
    lines += [f"{first:5d} {last:5d} {-1000 * (last - first):10d} {w}" for w, first, last in rows]
    lines.append(f" Total score: {-1000 * end:>12d}")
    path = _alignment_path(folder, turn)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _write_labels(
    folder: Path,
    dialog: str,
    turns: list[Turn],
    times: dict[str, tuple[float, float]],
    generator: np.random.Generator,
    line_end: str,
) -> None:
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    for turn in turns:
        start, end = times[turn.name]
        ratings = ", ".join(f"{value:.4f}" for value in turn.ratings)
        lines.append(f"[{start:.4f} - {end:.4f}]\t{turn.name}\t{turn.label}\t[{ratings}]")
        lines += [f"C-{rater}:\t{'; '.join(labels)};\t()" for rater, labels in turn.votes]
        valence, activation, dominance = (round(value) for value in turn.ratings)
        lines.append(f"A-E3:\tval {valence}; act {activation}; dom  {dominance};\t()")
        self_report = "" if generator.random() < 0.1 else str(dominance)
        lines.append(f"A-{turn.sex}1:\tval {valence}; act {activation}; dom  {self_report};\t()")
        lines.append("")
    _write_lines(folder / "dialog" / "EmoEvaluation" / f"{dialog}.txt", lines, line_end)
    rater_lines = ["", f"{turns[0].name} :neutral; ()"]  # an individual rater's: must be ignored
    rater_folder = folder / "dialog" / "EmoEvaluation" / "Categorical"
    _write_lines(rater_folder / f"{dialog}_e1_cat.txt", rater_lines, line_end)


def _write_transcripts(
    folder: Path,
    dialog: str,
    turns: list[Turn],
    times: dict[str, tuple[float, float]],
    line_end: str,
) -> None:
    lines = []
    for turn in turns:
        start, end = times[turn.name]
        lines.append(f"{turn.name} [{start:08.4f}-{end:08.4f}]: {turn.text}")
    _write_lines(folder / "dialog" / "transcriptions" / f"{dialog}.txt", lines, line_end)


def _write_lines(path: Path, lines: list[str], line_end: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(line_end.join([*lines, ""]).encode())


def _add_defects(folder: Path, turns: list[Turn], session: int) -> None:
    """Add defects that real copies have: the reader must handle them and report rejected files."""
    first, dialog = turns[0], turns[0].dialog
    labels = folder / "dialog" / "EmoEvaluation" / f"{dialog}.txt"
    transcripts = folder / "dialog" / "transcriptions" / f"{dialog}.txt"
    (labels.parent / f"._{dialog}.txt").write_bytes(APPLE_DOUBLE)
    _wav_path(folder, first).with_name(f"._{first.name}.wav").write_bytes(APPLE_DOUBLE)
    with open(transcripts, "ab") as file:
        file.write(f"M: sorry\n{dialog}_FXX0 [001.0000-002.0000]: Wait: what?\n".encode())
    _alignment_path(folder, turns[1]).unlink()
    if session != 1:
        return
    wavs = [_wav_path(folder, turn) for turn in turns[2:8]]
    wavs[0].unlink()  # missing
    samples, rate = soundfile.read(wavs[1], dtype="float32")
    soundfile.write(wavs[1], np.zeros_like(samples), rate, subtype="PCM_16")  # silent
    content = wavs[2].read_bytes()
    wavs[2].write_bytes(content[: len(content) // 2])  # truncated
    wavs[3].write_bytes(b"")  # empty
    samples, rate = soundfile.read(wavs[4], dtype="float32")  # stereo: is averaged
    soundfile.write(wavs[4], np.stack([samples, samples], axis=1), rate, subtype="PCM_16")
    samples, rate = soundfile.read(wavs[5], dtype="float32")  # 8 kHz: is resampled
    soundfile.write(wavs[5], samples[::2], rate // 2, subtype="PCM_16")
