"""A program that speaks sentences with espeak-ng: `python -m emoscale.corpus.demo.speak FOLDER`.

It reads one JSON object a line from standard input (id, text, voice, rate, pitch, range), writes
`FOLDER/<id>.wav` for each, and prints one JSON line each with the words' times. espeak-ng is under
the GPL-3: this program talks to it and to nothing else of the project, which calls it as a process.

Each sentence is spoken in a fresh process, because espeak-ng's noise generator keeps its state
between calls and the sound would depend on what was said before.
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


def speak(line: str, folder: str) -> str:
    """Speak one request; gives the JSON line to print."""
    import espeakng_loader

    request = json.loads(line)
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    sample_rate = library.espeak_Initialize(
        AUDIO_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0
    )
    if sample_rate <= 0:
        raise RuntimeError("espeak-ng did not start")
    sound = bytearray()
    starts: list[tuple[int, float]] = []

    def hear(samples: object, count: int, events: object) -> int:
        if count > 0:
            sound.extend(ctypes.string_at(samples, count * 2))  # type: ignore[arg-type]
        index = 0
        while events[index].kind != END_OF_EVENTS:  # type: ignore[index]
            event = events[index]  # type: ignore[index]
            if event.kind == WORD_EVENT:
                starts.append((event.text_position - 1, event.audio_milliseconds / 1000))
            index += 1
        return 0

    callback = _Callback(hear)
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
        file.writeframes(bytes(sound))
    seconds = len(sound) / 2 / sample_rate
    return json.dumps({"id": request["id"], "words": _words(request["text"], starts, seconds)})


def _words(text: str, starts: list[tuple[int, float]], seconds: float) -> list[dict[str, object]]:
    """Each written word from its first event to the next word's; espeak-ng may split a word."""
    spans, position = [], 0
    for word in text.split():
        position = text.index(word, position)
        spans.append((position, position + len(word), word))
        position += len(word)
    begins: dict[int, float] = {}
    for place, start in starts:
        for number, (first, last, _) in enumerate(spans):
            if first <= place < last:
                begins.setdefault(number, start)
    numbers = sorted(begins)
    ends = [begins[number] for number in numbers[1:]] + [seconds]
    return [
        {"word": spans[number][2], "start": begins[number], "end": max(end, begins[number] + 0.01)}
        for number, end in zip(numbers, ends, strict=True)
    ]


def main() -> None:
    """Speak every line of standard input, over the machine's cores."""
    try:
        import espeakng_loader  # noqa: F401
    except ImportError:
        sys.exit("the Python package espeakng-loader is not installed")
    folder = sys.argv[1]
    lines = [line for line in sys.stdin if line.strip()]
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("fork").Pool(cores, maxtasksperchild=1) as pool:
        for answer in pool.starmap(speak, ((line, folder) for line in lines), chunksize=1):
            print(answer, flush=True)


if __name__ == "__main__":
    main()
