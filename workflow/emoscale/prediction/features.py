"""Features of new recordings, extracted as those of a study: shards, an index and its reader."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import torch

from emoscale.config.representations import ExternalSettings
from emoscale.representations.contract import Representation
from emoscale.representations.registry import build_representation
from emoscale.representations.weights.fetching import fetch_checkpoint, is_in_cache
from emoscale.representations.weights.local_checkpoint import LocalCheckpoint
from emoscale.representations.weights.resolving import resolve_checkpoints
from emoscale.runtime.errors import CheckpointError, StoreError, UserError
from emoscale.store.extraction import extract_shard
from emoscale.store.features import Features
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.speaker_statistics import measure_speakers
from emoscale.training.cell_features import CellFeatures
from emoscale.training.normalisation import (
    NormaliseUtterance,
    SpeakerNormalisation,
    normalise_utterance,
)
from emoscale.training.prepared_cell import shape_of
from emoscale.training.run_record import InputRecord
from emoscale.training.saved_run import SavedRun

DEFAULT_CACHE = "~/.cache/emoscale"
"""The user's cache of pre-trained weights."""


def locate_checkpoints(
    run: SavedRun, paths: Mapping[str, Path], cache: Path | None, download: bool
) -> list[LocalCheckpoint]:
    """Locate the pre-trained weights that a run's representations name.

    A run may come from a stranger, so nothing is written to the cache that it names.

    Parameters
    ----------
    run : SavedRun
        The run.
    paths : mapping of str to Path
        Files or folders that override the cache, by the name (or path) in the run's settings.
    cache : Path or None
        Cache folder of all other checkpoints; None: the study's cache for the checkpoints that are
        in it, the user's cache for the rest.
    download : bool
        Whether checkpoints that are not in the cache are downloaded.

    Returns
    -------
    list of LocalCheckpoint
        Those of `paths`, then those of the cache.

    Raises
    ------
    CheckpointError
        If weights are missing, or `paths` has a name that the run does not use.
    """
    study_cache = Path(run.record.prediction.checkpoint_cache).expanduser()
    located = [LocalCheckpoint(name, path, "", path.name) for name, path in paths.items()]
    names = {
        getattr(each.settings, key)
        for each in run.inputs
        for key in getattr(each.settings, "checkpoint_keys", ())
    }
    unknown = sorted(set(paths) - names)
    if unknown:
        raise CheckpointError(
            f"{run.name} uses no pre-trained weights {unknown[0]}; the names that it uses: "
            f"{', '.join(sorted(names)) or 'none'}"
        )
    for name, weights in run.record.prediction.pretrained.items():
        if name in names - set(paths):
            path = run.folder.absolute().parents[3] / weights  # runs/<experiment>/<fold>/<size>
            if not path.exists():
                raise CheckpointError(
                    f"checkpoints.{name}: {path}, where the study has pre-trained these weights, "
                    f"does not exist; to predict, add --weights {name}=PATH"
                )
            located.append(LocalCheckpoint(name, path, "", path.name))
    for name in sorted(names & set(run.record.prediction.checkpoints) - set(paths)):
        settings = run.record.prediction.checkpoints[name]
        folder = cache or (
            study_cache if is_in_cache(settings, study_cache) else Path(DEFAULT_CACHE).expanduser()
        )
        try:
            located.append(fetch_checkpoint(name, settings, folder, offline=not download))
        except CheckpointError as error:
            remedy = "" if download else f"; to predict, add --download or --weights {name}=PATH"
            raise CheckpointError(f"{error}{remedy}") from None
    return located


@dataclass(frozen=True)
class _BuiltRepresentation:
    settings: Any
    representation: Representation
    pretrained_weights: str


class FeatureExtractor:
    """Extracts the features that a run's model reads from recordings, as its study did.

    Parameters
    ----------
    run : SavedRun
        The run.
    checkpoints : sequence of LocalCheckpoint
        Pre-trained weights of its representations.
    device : torch.device
        Device of the representations and of the features.
    trusted : collection of str
        Kinds of representations from outside the project whose code may be run; the run's record
        names that code.

    Raises
    ------
    CheckpointError
        If pre-trained weights are missing or are not those of the training.
    UserError
        If a representation is code from outside the project and not in `trusted`.
    """

    def __init__(
        self,
        run: SavedRun,
        checkpoints: Sequence[LocalCheckpoint],
        device: torch.device,
        trusted: Collection[str] = (),
    ) -> None:
        self._run, self._device = run, device
        self._representations: dict[str, _BuiltRepresentation] = {}
        for record in run.inputs:
            if record.name not in self._representations:
                self._representations[record.name] = self._build(record, checkpoints, trusted)

    @property
    def reads_text(self) -> bool:
        """Whether transcripts are needed."""
        return "text" in self._modalities()

    @property
    def reads_audio(self) -> bool:
        """Whether waveforms are read, so that long recordings are split."""
        return "audio" in self._modalities()

    def extract(
        self, rows: pl.DataFrame, speaker: str = ""
    ) -> tuple[list[str], CellFeatures | None, dict[str, str]]:
        """Extract the features of utterances.

        Parameters
        ----------
        rows : DataFrame
            The utterances (schema `EXTRACTION_INPUTS`); for a run that normalises by speaker, all
            those of one speaker.
        speaker : str
            Name of this speaker.

        Returns
        -------
        keys : list of str
            Keys of the utterances with features, in order.
        features : CellFeatures or None
            Their features; None if there are none.
        errors : dict of str to str
            Message for each other utterance, by its key.
        """
        errors: dict[str, str] = {}
        with TemporaryDirectory(prefix="emoscale-") as temporary:
            indices: dict[str, Path] = {}
            for name, built in self._representations.items():
                folder = Path(temporary) / name
                shards = self._extract_shards(rows, built, folder, 0, errors)
                if not shards:
                    return [], None, errors
                indices[name] = folder / "index.parquet"
                index_shards(shards, indices[name])
            keys = [key for key in rows["utterance"] if key not in errors]
            if not keys:
                return [], None, errors
            stores = [FeatureStore(indices[each.name], each.layer) for each in self._run.inputs]
            self._check_shapes(stores)
            features = [store.load(keys).in_memory() for store in stores]
        try:
            normalisations = self._normalisations(keys, features, speaker)
        except UserError as error:
            return [], None, errors | dict.fromkeys(keys, str(error))
        return keys, CellFeatures(keys, features, self._device, normalisations), errors

    def _normalisations(
        self, keys: list[str], features: Sequence[Features], speaker: str
    ) -> list[NormaliseUtterance | None]:
        kind = self._run.normalisation
        if kind != "speaker":
            return [normalise_utterance if kind == "utterance" else None] * len(features)
        speaker_of = dict.fromkeys(keys, speaker)
        return [
            SpeakerNormalisation(measure_speakers([(keys, each)], speaker_of), keys, self._device)
            for each in features
        ]

    def _modalities(self) -> set[str]:
        return {built.representation.modality for built in self._representations.values()}

    def _build(
        self,
        record: InputRecord,
        checkpoints: Sequence[LocalCheckpoint],
        trusted: Collection[str],
    ) -> _BuiltRepresentation:
        settings: Any = record.settings
        if isinstance(settings, ExternalSettings) and settings.kind not in trusted:
            raise UserError(
                f"{self._run.folder}: the representation {record.name} is {settings.kind}, code "
                f"from outside the project; if you trust it, add --trust {settings.kind}"
            )
        resolved, _ = resolve_checkpoints(settings, checkpoints)
        representation = build_representation(resolved, self._device.type)
        sha256 = getattr(representation, "checkpoint_sha256", "")
        if sha256 != record.checkpoint_sha256:
            names = [getattr(settings, key) for key in getattr(settings, "checkpoint_keys", ())]
            raise CheckpointError(
                f"representation {record.name}: its weights have sha256 {sha256 or '(none)'}, but "
                f"the model was trained with {record.checkpoint_sha256 or '(none)'} "
                f"({record.pretrained_weights}); name the path of these with "
                f"--weights {names[0] if names else 'NAME'}=PATH"
            )
        if getattr(settings, "backend", "native") != "native":
            print(
                f"note: the study computed {record.name} with {settings.backend}; this project's "
                "implementation is used instead, whose values are equal up to rounding",
                file=sys.stderr,
            )
        return _BuiltRepresentation(settings, representation, record.pretrained_weights)

    def _extract_shards(
        self,
        rows: pl.DataFrame,
        built: _BuiltRepresentation,
        folder: Path,
        start: int,
        errors: dict[str, str],
    ) -> list[Path]:
        """Extract the rows as one shard; if that fails, extract each half, down to single rows."""
        path = folder / f"{start:06d}-{start + len(rows):06d}.h5"
        try:
            extract_shard(
                rows,
                Path(),
                built.settings,
                built.representation,
                path,
                "",
                built.pretrained_weights,
            )
        except UserError as error:
            if len(rows) == 1:
                errors.setdefault(rows["utterance"][0], str(error))
                return []
        else:
            return [path]
        half = len(rows) // 2
        return [
            *self._extract_shards(rows[:half], built, folder, start, errors),
            *self._extract_shards(rows[half:], built, folder, start + half, errors),
        ]

    def _check_shapes(self, stores: Sequence[FeatureStore]) -> None:
        for record, store, shape in zip(self._run.inputs, stores, self._run.shapes, strict=True):
            if shape_of(store) != shape:
                raise StoreError(
                    f"{self._run.folder}: features of {record.name} have the shape "
                    f"{shape_of(store)} now, but had {shape} when the model was trained; train it "
                    "again"
                )
