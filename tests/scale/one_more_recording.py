"""One more recording in a study of 10,000 utterances: what the plan says, and what a run does.

Generates the recordings, runs the study (64 shards, two representations, an experiment of each),
adds one recording, asks Snakemake's dry run and `scripts/plan.py`, runs again, and looks at every
shard's bytes and time. Takes some minutes; it ends with an error where anything is not as it should
be.

    python -m tests.scale.one_more_recording
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from emoscale.corpus.shards import shard_of

from emoscale.config.corpus import CsvCorpus
from emoscale.corpus.survey import survey_corpus
from emoscale.runtime.provenance import file_sha256
from tests.audit.speech import RATE, Wave, write_corpus
from tests.workflow.small_study import program, snakemake, write_config

SPEAKERS = 20
SESSIONS = 4
NEW = "one_more.wav"
_BAND_EDGES = np.geomspace(180, 4200, 17)
REPRESENTATIONS: dict[str, dict[str, Any]] = {
    "mfcc": {"kind": "mfcc", "coefficients": 13},
    "logmel": {"kind": "logmel", "bands": 16},
}
ONCE = {"read_shard": 1, "measure_shard": 1, "extract_features": len(REPRESENTATIONS)}
"""What looks at recordings: of one shard, and of each representation."""

WRITTEN_A_SHARD = ("corpus/shards", "corpus/measured", *(f"features/{r}" for r in REPRESENTATIONS))
"""Folders of the results with a file of each shard."""


def configuration(shards: int) -> dict[str, Any]:
    """Everything up to trainings that are as small as trainings can be."""
    return {
        "study": "scale",
        "corpus": {"reader": "csv", "root": "recordings"},
        "shards": shards,
        "labels": {"classes": {"active": ["angry"], "calm": ["sad"]}},
        "representations": REPRESENTATIONS,
        "protocol": {"fold_unit": "session", "folds": SESSIONS, "repeats": 1},
        "sizes": [100],
        "models": {"mean": {"kind": "pooled", "width": 8}},
        "training": {"maximum_steps": 20, "steps_between_evaluations": 10},
        "experiments": {
            name: {"representations": [name], "model": "mean"} for name in REPRESENTATIONS
        },
    }


def targets(name: str) -> list[str]:
    """The trainings of one fold, and the audit of the corpus."""
    trained = [f"results/{name}/runs/{each}/fold1/100/run.json" for each in REPRESENTATIONS]
    return [*trained, f"results/{name}/audit.html"]


def sound(number: int) -> Wave:
    """[samples]: 0.3 to 0.48 s of noise, a tenth of which at a time is in bands of its own.

    Speech so short is one syllable, and of 10,000 syllables many are alike; of these sounds hardly
    two are, and the search for recordings that stand under two keys has little to compare.
    """
    generator = np.random.default_rng([9, number])
    wave = np.zeros(round((0.3 + 0.02 * (number % 10)) * RATE))
    length = len(wave) // 5
    band_of_bin = np.digitize(np.fft.rfftfreq(length, 1 / RATE), _BAND_EDGES)
    for first in np.linspace(0, len(wave) - length, 10).astype(int):
        heard = generator.random(len(_BAND_EDGES) + 1) < 0.3
        gains = heard * np.exp(generator.normal(scale=0.5, size=len(heard)))
        spectrum = np.fft.rfft(generator.normal(size=length)) * gains[band_of_bin]
        wave[first : first + length] += np.fft.irfft(spectrum, length) * np.hanning(length)
    return np.asarray(0.5 * wave / np.abs(wave).max(), np.float32)


def row(file: str, number: int) -> dict[str, Any]:
    """A recording, and what the table says of it."""
    speaker = number % SPEAKERS
    return {
        "file": file,
        "wave": sound(number),
        "speaker": f"speaker{speaker:02d}",
        "session": f"session{speaker % SESSIONS}",
        "emotion": ["angry", "sad"][number // SPEAKERS % 2],
    }


def add_recording(root: Path, number: int) -> None:
    """A file and a line of the table; nothing else is touched."""
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder), [row(NEW, number)])
        (Path(folder) / NEW).rename(root / NEW)
        line = (Path(folder) / "utterances.csv").read_text().splitlines()[1]
    with open(root / "utterances.csv", "a", encoding="utf-8") as table:
        table.write(line + "\n")


def planned(folder: Path, config: Path, wanted: Sequence[str]) -> tuple[Counter[str], float]:
    """Jobs a rule of Snakemake's dry run, and the seconds that it took."""
    began = time.perf_counter()
    said = _checked(snakemake(folder, config, "--dry-run", *wanted)).stdout
    seconds = time.perf_counter() - began
    counts = dict(re.findall(r"^(\w+) +(\d+)$", said, re.MULTILINE))
    counts.pop("total", None)
    if not counts and "Nothing to be done" not in said:
        sys.exit(f"the dry run was not understood:\n{said}")
    return Counter({rule: int(count) for rule, count in counts.items()}), seconds


def plan_says(folder: Path, config: Path) -> Counter[str]:
    """Steps a rule of `scripts/plan.py`, which is of the whole study."""
    said = _checked(program(folder, "plan.py", "--configfile", config, "--json")).stdout
    return Counter({each["rule"]: each["runs"] for each in json.loads(said)["rules"]})


def ran(folder: Path, config: Path, wanted: Sequence[str]) -> tuple[Counter[str], float]:
    """Jobs a rule that a run did, and the seconds that it took."""
    began = time.perf_counter()
    said = _checked(snakemake(folder, config, *wanted)).stdout
    seconds = time.perf_counter() - began
    return Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", said, re.MULTILINE)), seconds


def shards_of(results: Path) -> dict[str, tuple[int, str]]:
    """Time and digest of every file of a shard, by its path in the results."""
    return {
        str(path.relative_to(results)): (path.stat().st_mtime_ns, file_sha256(path))
        for folder in WRITTEN_A_SHARD
        for path in sorted((results / folder).iterdir())
        if path.stem.isdecimal()
    }


def _checked(done: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    if done.returncode:
        sys.exit(f"{' '.join(map(str, done.args))} failed:\n{done.stdout}\n{done.stderr or ''}")
    return done


def _of(counts: Counter[str]) -> dict[str, int]:
    return {rule: counts[rule] for rule in ONCE}


@click.command(help=__doc__)
@click.option("--utterances", default=10_000, show_default=True)
@click.option("--shards", default=64, show_default=True)
def main(utterances: int, shards: int) -> None:
    with tempfile.TemporaryDirectory(prefix="emoscale-scale-") as temporary:
        _prove(Path(temporary), utterances, shards)


def _prove(folder: Path, utterances: int, shards: int) -> None:
    root, study = folder / "recordings", configuration(shards)
    config, wanted = write_config(folder, study, "scale"), targets(study["study"])
    results = folder / "results" / study["study"]
    began = time.perf_counter()
    write_corpus(root, [row(f"{number:05d}.wav", number) for number in range(utterances)])
    print(f"{utterances:,} recordings generated in {time.perf_counter() - began:.0f} s")
    first, seconds = ran(folder, config, wanted)
    print(f"first run: {sum(first.values())} jobs in {seconds:.0f} s, {shards} shards")

    idle, idle_seconds = planned(folder, config, wanted)
    began = time.perf_counter()
    survey_corpus(CsvCorpus(reader="csv", root=str(root)), shards)
    print(f"finished study: dry run {idle_seconds:.1f} s, of it the survey of the corpus ", end="")
    print(f"{time.perf_counter() - began:.2f} s")

    add_recording(root, utterances)
    before = shards_of(results)
    dry, dry_seconds = planned(folder, config, wanted)
    plan = plan_says(folder, config)
    again, seconds = ran(folder, config, wanted)
    after = shards_of(results)
    left, _ = planned(folder, config, wanted)
    print(f"one more recording: dry run {dry_seconds:.1f} s, run {seconds:.0f} s")

    of_new = f"{shard_of(Path(NEW).stem, shards):02d}"
    written = sorted(path for path in after if before.get(path) != after[path])
    print(f"\n{'rule':<18}{'first run':>10}{'dry run':>10}{'plan.py':>10}{'run':>10}")
    for rule in sorted((first | again).keys() - {"all"}):
        print(f"{rule:<18}{first[rule]:>10}{dry[rule]:>10}{plan[rule]:>10}{again[rule]:>10}")
    print(f"\n{'files of shards':<18}{'there':>10}{'written':>10}")
    for place in WRITTEN_A_SHARD:
        there = [path for path in after if path.startswith(f"{place}/")]
        new = [path for path in written if path.startswith(f"{place}/")]
        print(f"{place:<18}{len(there):>10}{len(new):>10}")

    wrong = {
        "every shard is read, measured and extracted at first": _of(first)
        != {rule: count * shards for rule, count in ONCE.items()},
        "a finished study has nothing to do": bool(idle or left),
        "the dry run says one shard": _of(dry) != ONCE,
        "plan.py says one shard": _of(plan) != ONCE,
        "the run does one shard": _of(again) != ONCE,
        "the run does no more than the dry run says": bool(again - dry),
        "every shard has its files": len(after) != shards * len(WRITTEN_A_SHARD),
        f"only shard {of_new} is written": [Path(path).stem for path in written]
        != [of_new] * len(WRITTEN_A_SHARD),
    }
    print()
    for claim, fails in wrong.items():
        print(f"{'NOT SO' if fails else 'so':<8}{claim}")
    if any(wrong.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
