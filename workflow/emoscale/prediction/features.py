"""Features of new recordings, made by the study's own steps: shards, an index, and its reader."""

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
from emoscale.representations.weights.origin import Origin
from emoscale.representations.weights.placing import place_weights
from emoscale.runtime.errors import CheckpointError, StoreError, UserError
from emoscale.store.extraction import extract_shard
from emoscale.store.index import FeatureStore, index_shards
from emoscale.training.cell_features import CellFeatures
from emoscale.training.prepared_cell import shape_of
from emoscale.training.run_record import InputRecord
from emoscale.training.saved_run import SavedRun

DEFAULT_CACHE = "~/.cache/emoscale"


def weights_of(
    run: SavedRun, places: Mapping[str, Path], cache: Path | None, download: bool
) -> list[Origin]:
    """Where the weights are that the run's representations name.

    `places` says of a name (or of a path in the settings) where they lie now. Others are those of
    the study's checkpoints, in `cache`: by default the study's own where they are there, otherwise
    the user's. A run may be anybody's, so nothing is written to the folder that it names. They are
    downloaded only where `download` says so. Raises `CheckpointError`.
    """
    named_cache = Path(run.record.prediction.checkpoint_cache).expanduser()
    origins = [Origin(name, path, "", path.name) for name, path in places.items()]
    named = {
        getattr(each.settings, key)
        for each in run.inputs
        for key in getattr(each.settings, "checkpoint_keys", ())
    }
    unknown = sorted(set(places) - named)
    if unknown:
        raise CheckpointError(
            f"{run.name} reads no weights {unknown[0]}; it names "
            f"{', '.join(sorted(named)) or 'none at all'}"
        )
    for name in sorted(named & set(run.record.prediction.checkpoints) - set(places)):
        settings = run.record.prediction.checkpoints[name]
        place = cache or (
            named_cache if is_in_cache(settings, named_cache) else Path(DEFAULT_CACHE).expanduser()
        )
        try:
            origins.append(fetch_checkpoint(name, settings, place, offline=not download))
        except CheckpointError as error:
            advice = "" if download else f"; here: add --download, or --weights {name}=PATH"
            raise CheckpointError(f"{error}{advice}") from None
    return origins


@dataclass(frozen=True)
class _Made:
    settings: Any
    representation: Representation
    weights: str


class FeatureMaker:
    """Makes what a run's model reads of recordings, as its study did.

    Raises `CheckpointError` where weights are missing or are not those of the training, and
    `UserError` where a representation is code from outside the project that is not in `trusted`:
    a run's file names what would be run.
    """

    def __init__(
        self,
        run: SavedRun,
        origins: Sequence[Origin],
        device: torch.device,
        trusted: Collection[str] = (),
    ) -> None:
        self._run, self._device = run, device
        self._made: dict[str, _Made] = {}
        for each in run.inputs:
            if each.name not in self._made:
                self._made[each.name] = self._build(each, origins, trusted)

    @property
    def reads_text(self) -> bool:
        """Whether transcripts are needed."""
        return "text" in self._modalities()

    @property
    def reads_audio(self) -> bool:
        """Whether waveforms are read, so that long recordings are cut."""
        return "audio" in self._modalities()

    def features(self, rows: pl.DataFrame) -> tuple[list[str], CellFeatures | None, dict[str, str]]:
        """Features of utterances (schema `EXTRACTION_INPUTS`): their keys, in order, and what models read.

        Also a sentence of each utterance that has none; the features is None where nothing is left.
        """
        failed: dict[str, str] = {}
        with TemporaryDirectory(prefix="emoscale-") as temporary:
            indices: dict[str, Path] = {}
            for name, made in self._made.items():
                folder = Path(temporary) / name
                shards = self._extract(rows, made, folder, 0, failed)
                if not shards:
                    return [], None, failed
                indices[name] = folder / "index.parquet"
                index_shards(shards, indices[name])
            keys = [key for key in rows["utterance"] if key not in failed]
            if not keys:
                return [], None, failed
            stores = [FeatureStore(indices[each.name], each.layer) for each in self._run.inputs]
            self._check_shapes(stores)
            features = [store.load(keys) for store in stores]
        return keys, CellFeatures(keys, features, self._device), failed

    def _modalities(self) -> set[str]:
        return {made.representation.modality for made in self._made.values()}

    def _build(
        self, saved: InputRecord, origins: Sequence[Origin], trusted: Collection[str]
    ) -> _Made:
        settings: Any = saved.settings
        if isinstance(settings, ExternalSettings) and settings.kind not in trusted:
            raise UserError(
                f"{self._run.folder}: the representation {saved.name} is {settings.kind}, code "
                f"from outside the project; where you trust it, add --trust {settings.kind}"
            )
        placed, _ = place_weights(settings, origins)
        representation = build_representation(placed, self._device.type)
        found = getattr(representation, "checkpoint_sha256", "")
        if found != saved.checkpoint_sha256:
            names = [getattr(settings, key) for key in getattr(settings, "checkpoint_keys", ())]
            raise CheckpointError(
                f"representation {saved.name}: its weights have sha256 {found or '(none)'}, and "
                f"those of the training {saved.checkpoint_sha256 or '(none)'} ({saved.pretrained_weights}); "
                f"say where they are with --weights {names[0] if names else 'NAME'}=PATH"
            )
        if getattr(settings, "backend", "native") != "native":
            print(
                f"note: the study computed {saved.name} with {settings.backend}; here it is this "
                "project's own code, whose values are those up to rounding",
                file=sys.stderr,
            )
        return _Made(settings, representation, saved.pretrained_weights)

    def _extract(
        self, rows: pl.DataFrame, made: _Made, folder: Path, first: int, failed: dict[str, str]
    ) -> list[Path]:
        """Shards of the rows; where a shard fails, of each half of it, down to single rows."""
        path = folder / f"{first:06d}-{first + len(rows):06d}.h5"
        try:
            extract_shard(rows, Path(), made.settings, made.representation, path, "", made.weights)
        except UserError as error:
            if len(rows) == 1:
                failed.setdefault(rows["utterance"][0], str(error))
                return []
        else:
            return [path]
        half = len(rows) // 2
        return [
            *self._extract(rows[:half], made, folder, first, failed),
            *self._extract(rows[half:], made, folder, first + half, failed),
        ]

    def _check_shapes(self, stores: Sequence[FeatureStore]) -> None:
        for saved, store, shape in zip(self._run.inputs, stores, self._run.shapes, strict=True):
            if shape_of(store) != shape:
                raise StoreError(
                    f"{self._run.folder}: the representation {saved.name} gives {shape_of(store)} "
                    f"now, and gave {shape} when the model was trained; train it again"
                )
