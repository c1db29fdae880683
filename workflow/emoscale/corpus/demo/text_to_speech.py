"""Text-to-speech program based on espeak-ng.

Usage: `python -m emoscale.corpus.demo.text_to_speech FOLDER`. The program reads one JSON object per
line from standard input (id, text, voice, rate, pitch, range), writes `FOLDER/<id>.wav` for each,
and prints one JSON object per line with the word times. espeak-ng is licensed under the GPL-3: only
this program loads it, and the project runs the program as a separate process.

Each sentence is synthesised in a new process, because the state of espeak-ng's noise generator
would otherwise make the audio depend on earlier sentences.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import sys
import wave

AUDIO_SYNCHRONOUS = 2
WORD_EVENT, END_OF_EVENTS = 1, 0
RATE, RANGE, PITCH = 1, 4, 3
CHARACTERS_ARE_UTF8, POSITION_IS_CHARACTER = 1, 1


class _Identity(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("identity", _Identity),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def synthesise(line: str, folder: str) -> str:
    """Synthesise the speech of one request and write it as WAV.

    Parameters
    ----------
    line : str
        The request: JSON object with id, text, voice, rate, pitch and range.
    folder : str
        Folder to write `<id>.wav` to.

    Returns
    -------
    str
        JSON object with the id, and the words with their start and end in seconds.

    Raises
    ------
    RuntimeError
        If espeak-ng does not start or lacks the voice.
    """
    import espeakng_loader

    request = json.loads(line)
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    sample_rate = library.espeak_Initialize(
        AUDIO_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0
    )
    if sample_rate <= 0:
        raise RuntimeError("espeak-ng did not start")
    pcm = bytearray()
    starts: list[tuple[int, float]] = []

    def collect(samples: object, count: int, events: object) -> int:
        if count > 0:
            pcm.extend(ctypes.string_at(samples, count * 2))  # type: ignore[arg-type]
        index = 0
        while events[index].kind != END_OF_EVENTS:  # type: ignore[index]
            event = events[index]  # type: ignore[index]
            if event.kind == WORD_EVENT:
                starts.append((event.text_position - 1, event.audio_milliseconds / 1000))
            index += 1
        return 0

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {request['voice']}")
    for parameter, value in (
        (RATE, request["rate"]),
        (PITCH, request["pitch"]),
        (RANGE, request["range"]),
    ):
        library.espeak_SetParameter(parameter, value, 0)
    text = request["text"].encode()
    library.espeak_Synth(
        text, len(text) + 1, 0, POSITION_IS_CHARACTER, 0, CHARACTERS_ARE_UTF8, None, None
    )
    library.espeak_Synchronize()
    with wave.open(os.path.join(folder, f"{request['id']}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(bytes(pcm))
    seconds = len(pcm) / 2 / sample_rate
    words = _word_times(request["text"], starts, seconds)
    return json.dumps({"id": request["id"], "words": words})


def _word_times(
    text: str, starts: list[tuple[int, float]], seconds: float
) -> list[dict[str, object]]:
    """Start and end of each word, from its first event to the next word's.

    espeak-ng may report several events for a word.
    """
    spans, position = [], 0
    for word in text.split():
        position = text.index(word, position)
        spans.append((position, position + len(word), word))
        position += len(word)
    start_of: dict[int, float] = {}
    for text_position, start in starts:
        for number, (first, last, _) in enumerate(spans):
            if first <= text_position < last:
                start_of.setdefault(number, start)
    numbers = sorted(start_of)
    ends = [start_of[number] for number in numbers[1:]] + [seconds]
    return [
        {
            "word": spans[number][2],
            "start": start_of[number],
            "end": max(end, start_of[number] + 0.01),
        }
        for number, end in zip(numbers, ends, strict=True)
    ]


def main() -> None:
    """Synthesise every request of standard input, in parallel on all available cores."""
    try:
        import espeakng_loader  # noqa: F401
    except ImportError:
        sys.exit("the Python package espeakng-loader is not installed")
    folder = sys.argv[1]
    lines = [line for line in sys.stdin if line.strip()]
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("fork").Pool(cores, maxtasksperchild=1) as pool:
        for result in pool.starmap(synthesise, ((line, folder) for line in lines), chunksize=1):
            print(result, flush=True)


if __name__ == "__main__":
    main()
