"""Measure the corpus digests that each start of the workflow computes.

The default corpus has 10,000 recordings and 12 hours. The first computation reads every file, the
second one reads the digests of unchanged files from the cache.

    python benchmarks/corpus_digests.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import soundfile

from emoscale.config.corpus import CsvCorpus
from emoscale.corpus.digests import compute_corpus_digests
from emoscale.runtime.file_digests import FileDigests

RATE = 16_000


@click.command(help=__doc__)
@click.option("--recordings", default=10_000, show_default=True)
@click.option("--hours", default=12.0, show_default=True)
def main(recordings: int, hours: float) -> None:
    samples = int(hours * 3600 * RATE / recordings)
    generator = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = ["file,speaker,emotion"]
        for number in range(recordings):
            wave = generator.integers(-3000, 3000, samples, dtype=np.int16)
            soundfile.write(folder / f"{number}.wav", wave, RATE)
            rows.append(f"{number}.wav,speaker{number % 10},{'happy' if number % 2 else 'sad'}")
        (folder / "utterances.csv").write_text("\n".join(rows) + "\n")
        corpus = CsvCorpus(reader="csv", root=name)
        for computation in ("first", "second"):
            start = time.perf_counter()
            compute_corpus_digests(corpus, 64, FileDigests(folder / "cache" / "file_digests.json"))
            click.echo(f"{computation} computation: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
