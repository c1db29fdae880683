"""Unlabelled speech: its recordings, which of them are held out, and its digests."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from emoscale.audio.decoding import SUFFIXES, Recording
from emoscale.audit.fingerprint import fingerprint
from emoscale.config.corpus import AudioChecks
from emoscale.config.pretraining import DemoSpeech, FolderSpeech, SpeechSettings
from emoscale.corpus.files import corpus_files
from emoscale.corpus.readers import CorpusManifest, Utterance, read_corpus
from emoscale.corpus.recordings import check_and_measure, rejected_table, sort_rejected
from emoscale.runtime.errors import CorpusError, UserError
from emoscale.runtime.file_digests import FileDigests
from emoscale.runtime.provenance import digest
from emoscale.tables.schemas import SHARD, schema_field

if TYPE_CHECKING:
    from emoscale.pretraining.crops import SpeechFile

_FOLDER_PER_SPEAKER = r"^([^/]+)/"

_FINGERPRINT = schema_field("fingerprint", pa.list_(pa.float32()), "fingerprint of norm 1")

SPEECH = pa.schema(
    [
        *SHARD,
        schema_field("corpus", pa.string(), "name of the corpus, or the reader of a folder"),
        schema_field("speaker", pa.string(), "speaker; null: unknown", null=True),
        schema_field("held_out", pa.bool_(), "whether it only measures the loss"),
        _FINGERPRINT,
    ]
)
"""Usable recordings of unlabelled speech."""


def read_speech(settings: SpeechSettings) -> CorpusManifest:
    """List the recordings of unlabelled speech; no audio is opened, and labels are not used.

    Parameters
    ----------
    settings : SpeechSettings
        A folder, generated speech, or a corpus.

    Returns
    -------
    CorpusManifest
        The recordings. An empty speaker is an unknown one.

    Raises
    ------
    CorpusError
        If the folder does not exist or has no recording, or the corpus cannot be read.
    """
    if isinstance(settings, FolderSpeech):
        return _read_folder(settings.reader, Path(settings.root), settings.speaker_pattern)
    if isinstance(settings, DemoSpeech):
        return _read_folder(settings.reader, Path(settings.root), _FOLDER_PER_SPEAKER)
    return read_corpus(settings)


def _read_folder(reader: str, root: Path, speaker_pattern: str | None) -> CorpusManifest:
    manifest = CorpusManifest(reader)
    pattern = re.compile(speaker_pattern) if speaker_pattern is not None else None
    if not os.path.isdir(root):  # noqa: PTH112 - False instead of an error for invalid names
        raise CorpusError(f"{root} does not exist; set the root of the speech to a folder")
    for name in sorted(corpus_files(root, manifest)):
        match = pattern.search(name) if pattern is not None else None
        # accented letters as one character: two spellings are one speaker
        speaker = unicodedata.normalize("NFC", (match and match[1]) or "")
        manifest.add(Utterance(utterance=name, audio=name, speaker=speaker, emotion=""), name)
    if not manifest.utterances:
        raise CorpusError(
            f"{root} holds no recording ({', '.join(SUFFIXES)}); set the root of the speech to a "
            "folder of recordings"
        )
    return manifest


def speech_digest(settings: SpeechSettings, digests: FileDigests) -> str:
    """Return a digest of unlabelled speech: of keys, files, times, speakers and file contents.

    It does not depend on the path of the root, nor on labels. Generated speech need not exist yet:
    its settings determine its content.

    Parameters
    ----------
    settings : SpeechSettings
        The speech.
    digests : FileDigests
        Cache of file digests.

    Returns
    -------
    str
        Digest, hexadecimal.

    Raises
    ------
    CorpusError
        If the speech cannot be read.
    """
    if isinstance(settings, DemoSpeech):
        return digest(settings.model_dump(exclude={"root"}))
    manifest = read_speech(settings)
    root = Path(settings.root)
    files = {each.audio: root / each.audio for each in manifest.utterances}
    content = dict(zip(files, digests.compute(files.values()), strict=True))
    rows = [
        [
            *(each.utterance, each.audio, each.start, each.end),
            *(each.corpus or manifest.corpus, each.speaker),
            getattr(content[each.audio], "sha256", ""),
        ]
        for each in sorted(manifest.utterances, key=lambda each: each.utterance)
    ]
    return digest([rows, [[row.file, row.reason] for row in manifest.rejected]])


def check_speech(
    settings: SpeechSettings, checks: AudioChecks, held_out: float, seed: int, threads: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decode and check all recordings of unlabelled speech, and hold some of them out.

    Each recording is decoded once.

    Parameters
    ----------
    settings : SpeechSettings
        The speech.
    checks : AudioChecks
        Limits of duration and peak.
    held_out : float
        Share of the units that are held out, see `hold_out`.
    seed : int
        Seed of their choice.
    threads : int
        Number of recordings decoded in parallel.

    Returns
    -------
    recordings : DataFrame
        Usable recordings (schema `SPEECH`), sorted by key.
    rejected : DataFrame
        The others (`tables.schemas.REJECTED`), sorted by reason.

    Raises
    ------
    CorpusError
        If the speech cannot be read.
    UserError
        If there are fewer than two units.
    """
    manifest = read_speech(settings)
    root = Path(settings.root)

    def measure(recording: Recording) -> dict[str, object]:
        return {"fingerprint": fingerprint(recording.waveform())}

    usable, rejected = check_and_measure(
        manifest.utterances, root, checks, measure, pa.schema([*SHARD, _FINGERPRINT]), threads
    )
    all_rejected = pl.concat([rejected_table(manifest.rejected), rejected])
    if usable.is_empty():
        raise UserError(
            f"{root}: none of {len(manifest.utterances)} recordings can be used; the first reason: "
            f"{all_rejected['detail'][0]}"
        )
    listed = {each.utterance: each for each in manifest.utterances}
    utterances = [listed[key] for key in usable["utterance"]]
    recordings = usable.with_columns(
        pl.Series("corpus", [each.corpus or manifest.corpus for each in utterances]),
        pl.Series("speaker", [each.speaker or None for each in utterances], dtype=pl.String),
    )
    try:
        recordings = hold_out(recordings, held_out, seed)
    except UserError as error:
        raise UserError(f"{root}: {error}") from None
    return recordings.select(SPEECH.names), sort_rejected(all_rejected)


def hold_out(recordings: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Hold out a share of the speakers, or of the recordings whose speaker is not known.

    A unit is a speaker, or a recording of an unknown speaker; units with identical recordings are
    one unit. At least one unit is held out, and at least one is not. The choice depends on the
    seed, the keys and the units only, not on the order.

    Parameters
    ----------
    recordings : DataFrame
        Columns `utterance`, `speaker` and `audio_sha256`.
    share : float
        Share of the units that are held out.
    seed : int
        Seed of the choice.

    Returns
    -------
    DataFrame
        The recordings with the column `held_out`.

    Raises
    ------
    UserError
        If there are fewer than two units.

    Examples
    --------
    >>> recordings = pl.DataFrame(
    ...     {"utterance": ["1", "2", "3"], "speaker": ["a", "a", "b"], "audio_sha256": [*"xyz"]}
    ... )
    >>> hold_out(recordings, 0.05, seed=1)["held_out"].to_list()
    [True, True, False]
    """
    units = _units(recordings)
    names = sorted({*units}, key=lambda name: digest([seed, name]))
    if len(names) < 2:
        speakers = recordings["speaker"].drop_nulls().n_unique()
        raise UserError(
            f"the speech has {len(recordings)} usable {_plural(len(recordings), 'recording')} of "
            + ("a single speaker" if speakers else "a single content")
            + ", so none can be held out; add speech"
            + (", or do not name speakers, so that recordings are held out" if speakers else "")
        )
    count = min(max(1, round(share * len(names))), len(names) - 1)
    held_out = {*names[:count]}
    return recordings.with_columns(pl.Series("held_out", [unit in held_out for unit in units]))


def _units(recordings: pl.DataFrame) -> list[str]:
    """Return the unit of each recording, named by the first of its keys."""
    keys = recordings["utterance"].to_list()
    members = zip(recordings["speaker"], keys, strict=True)
    names = [
        f"recording {key}" if speaker is None else f"speaker {speaker}" for speaker, key in members
    ]
    speakers, speaker_of = np.unique(names, return_inverse=True)
    digests, digest_of = np.unique(recordings["audio_sha256"].to_list(), return_inverse=True)
    size = len(speakers) + len(digests)
    edges = (np.ones(len(keys)), (speaker_of, len(speakers) + digest_of))
    _, component_of = connected_components(coo_array(edges, shape=(size, size)), directed=False)
    components = component_of[speaker_of].tolist()
    first_key: dict[int, str] = {}
    for component, key in sorted(zip(components, keys, strict=True)):
        first_key.setdefault(component, key)
    return [first_key[component] for component in components]


def speech_files(recordings: pl.DataFrame, root: Path, held_out: bool) -> list[SpeechFile]:
    """Return the recordings to train on, or those that are held out.

    Parameters
    ----------
    recordings : DataFrame
        Usable recordings (schema `SPEECH`).
    root : Path
        Root folder of the speech.
    held_out : bool
        Which recordings.

    Returns
    -------
    list of SpeechFile
        The recordings, sorted by key.
    """
    from emoscale.pretraining.crops import SpeechFile  # imports torch, which planning must not

    selected = recordings.filter(pl.col("held_out") == held_out).sort("utterance")
    return [
        SpeechFile(root / audio, start or 0.0, seconds)
        for audio, start, seconds in selected.select("audio", "start", "seconds").iter_rows()
    ]


def speech_summary(recordings: pl.DataFrame) -> dict[str, object]:
    """Summarise unlabelled speech, for the card of a model.

    Parameters
    ----------
    recordings : DataFrame
        Usable recordings (schema `SPEECH`).

    Returns
    -------
    dict
        `recordings`: their number; `hours`; `held_out_hours`; `speakers`: number of known speakers,
        or None; `digest`: sha256 of the sorted digests of the recordings.
    """
    speakers = recordings["speaker"].drop_nulls().n_unique()
    held_out = recordings.filter("held_out")
    contents = "\n".join(sorted(recordings["audio_sha256"]))
    return {
        "recordings": len(recordings),
        "hours": float(recordings["seconds"].sum()) / 3600,
        "held_out_hours": float(held_out["seconds"].sum()) / 3600,
        "speakers": speakers or None,
        "digest": hashlib.sha256(contents.encode()).hexdigest(),
    }


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
