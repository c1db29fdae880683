"""Seconds of the survey that each start of the workflow makes: 10,000 recordings, 12 hours.

The first reads every file, the second finds their digests in its cache.

    python benchmarks/survey_corpus.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import soundfile

from emoscale.config.corpus import CsvCorpus
from emoscale.corpus.survey import survey_corpus
from emoscale.runtime.file_digests import FileDigests

RATE = 16_000


@click.command(help=__doc__)
@click.option("--recordings", default=10_000, show_default=True)
@click.option("--hours", default=12.0, show_default=True)
def main(recordings: int, hours: float) -> None:
    samples = int(hours * 3600 * RATE / recordings)
    noise = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = ["file,speaker,emotion"]
        for number in range(recordings):
            wave = noise.integers(-3000, 3000, samples, dtype=np.int16)
            soundfile.write(folder / f"{number}.wav", wave, RATE)
            rows.append(f"{number}.wav,speaker{number % 10},{'happy' if number % 2 else 'sad'}")
        (folder / "utterances.csv").write_text("\n".join(rows) + "\n")
        corpus = CsvCorpus(reader="csv", root=name)
        for which in ("first", "second"):
            began = time.perf_counter()
            survey_corpus(corpus, 64, FileDigests(folder / "cache" / "file_digests.json"))
            click.echo(f"{which} survey: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
