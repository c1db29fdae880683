"""Stores, tables, trained models and checkpoints: what is downloaded, or handed on."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

from emoscale.config import parse_settings
from emoscale.config.protocol import ProtocolSettings
from emoscale.config.representations import RepresentationSettings
from emoscale.corpus.votes import SHARES
from emoscale.evaluation.runs import CellName, collect_runs
from emoscale.representations.registry import build_representation
from emoscale.representations.weights.origin import Origin, read_stamp, write_stamp
from emoscale.representations.weights.untrained_transformers import make_bert
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader, read_header, read_shard, sha256_of, verify_shard
from emoscale.store.writer import write_shard
from emoscale.tables.schemas import protocol_schema, read_fold, write_table
from emoscale.training.cell import Cell, CellSettings, train_cell
from emoscale.training.kept import KEPT, keep, read_kept
from emoscale.training.material import Material
from emoscale.training.resume import ResumeFile
from emoscale.training.saved_run import read_run
from emoscale.training.tasks import Trained
from emoscale.training.trainer import Training
from tests.fuzz.damage import change_file, change_text, damaged_bytes, damaged_value
from tests.fuzz.kind import Kind

REFERENCES = Path(__file__).resolve().parent.parent / "representations"
KEYS = [f"u{number:02d}" for number in range(12)]
FOLD = pl.DataFrame(
    {
        "utterance": KEYS,
        "role": ["train"] * 6 + ["dev"] * 3 + ["test"] * 3,
        "label": ["a", "b", "c"] * 4,
        "speaker": KEYS,
        "votes": pl.Series([None] * 12, dtype=SHARES),
        "rank_0": [*range(6), *[None] * 6],
    }
)


def _store(folder: Path) -> FeatureStore:
    shard = folder / "00.h5"
    frames = [np.random.default_rng(place).normal(size=(5, 3)) for place in range(len(KEYS))]
    write_shard(shard, ShardHeader('{"kind":"mfcc"}', 3, 100.0, "c", "s"), KEYS, frames, "float32")
    index_shards([shard], folder / "index.parquet")
    return FeatureStore(folder / "index.parquet")


def _make_store(folder: Path) -> None:
    _store(folder)


def _resign(folder: Path, random: Random) -> None:
    """Another array in the place of one, with a digest that is right."""
    with h5py.File(folder / "00.h5", "r+") as file:
        name = random.choice(["frames", "offsets", "utterance", "windows"])
        old = file[name][()]
        del file[name]
        match random.randrange(8):
            case 0:
                file.create_group(name)
                return
            case 1:
                file[name] = h5py.ExternalLink("/etc/passwd", "x")
                return
            case 2:
                source = folder / "other.bin"
                source.write_bytes(old.tobytes())
                where = [(str(source), 0, old.nbytes)]
                made = file.create_dataset(name, old.shape, old.dtype, external=where)
            case 3:
                made = file.create_dataset(name, (1 << 40, *old.shape[1:]), old.dtype)
            case 4:
                made = file.create_dataset(
                    name, (1 << 28, *old.shape[1:]), old.dtype, compression="gzip"
                )
            case 5:
                made = file.create_dataset(name, data=np.asarray(old).reshape(-1)[:7])
            case 6 if name != "utterance":
                values = random.choice([-1, 0, 3, 2**31 - 1])
                made = file.create_dataset(name, data=np.full_like(old, values))
            case _:
                made = file.create_dataset(name, data=random.choice([b"\xff\xfe", 7, [[[1.5]]]]))
        small = made.size < 1 << 20
        array = np.asarray(made[()]) if small else old
        made.attrs["sha256"] = np.bytes_((sha256_of(array)).encode() + b".")


def _read_store(folder: Path) -> None:
    read_header(folder / "00.h5")
    verify_shard(folder / "00.h5")
    read_shard(folder / "00.h5")
    store = FeatureStore(folder / "index.parquet")
    store.description()
    store.in_windows(KEYS)
    Material(KEYS[:3], [store.load(KEYS[:3])], torch.device("cpu"))
    index_shards([folder / "00.h5"], folder / "again.parquet")
    FeatureStore(folder / "again.parquet").load(KEYS)


def _make_fold(folder: Path) -> None:
    write_table(FOLD, folder / "fold.parquet", protocol_schema(1))


def _read_fold(folder: Path) -> None:
    table = read_fold(folder / "fold.parquet")
    table.filter(pl.col("role") == "train").sort("rank_0").to_dicts()


def _make_run(model: dict[str, Any]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        store = _store(folder / "features" / "mfcc")
        values = {"model": model, "training": {"maximum_steps": 1}, "seed": 1}
        settings = CellSettings.model_validate(values)
        cell, origin = Cell("noise", "fold1", "all"), {"features_sha256": [store.sha256]}
        run = folder / "runs" / "noise" / "fold1" / "all"
        train_cell(cell, settings, FOLD, [store], run, torch.device("cpu"), origin)

    return make


def _change_run(folder: Path, random: Random) -> None:
    run = folder / "runs" / "noise" / "fold1" / "all"
    match random.randrange(5):
        case 0:
            change_file("model.safetensors", head=600)(run, random)
        case 1:
            tensors = load_file(run / "model.safetensors")
            name = random.choice(sorted(tensors))
            others = [torch.zeros(0), torch.tensor(7), tensors[name] * float("nan")]
            others += [tensors[name][None], tensors[name].long() + 9, tensors[name].bool()]
            tensors[name] = random.choice(others)
            save_file(tensors, run / "model.safetensors")
        case 2:
            change_text("run.json")(run, random)
        case _:
            changed = damaged_value(json.loads((run / "run.json").read_text()), random)
            (run / "run.json").write_text(json.dumps(changed))


def _read_run(folder: Path) -> None:
    run = read_run(folder / "runs" / "noise" / "fold1" / "all")
    features = FeatureStore(folder / "features" / "mfcc" / "index.parquet").load(KEYS[:3])
    inputs = [features] * len(run.shapes)
    if all(shape.dimension == 3 and not shape.layers for shape in run.shapes):
        run.probabilities(
            Material(KEYS[:3], inputs, torch.device("cpu")), torch.arange(3), run.repeats
        )


def _read_tabulated(folder: Path) -> None:
    cells = [CellName("noise", "fold1", "all")]
    settings = {"fold_unit": "speakers", "folds": 3, "repeats": 1}
    protocol = parse_settings(ProtocolSettings, settings, "protocol")
    collect_runs(folder / "runs", cells, "study", "corpus", "", protocol)


def _make_run_of_study(folder: Path) -> None:
    """With the origin that the program of the rules adds."""
    _make_run({"kind": "pooled", "width": 4})(folder)
    path = folder / "runs" / "noise" / "fold1" / "all" / "run.json"
    run = json.loads(path.read_text())
    named = ("settings", "settings_sha256", "code_sha256", "protocol_sha256")
    run["origin"] |= dict.fromkeys(named, "x")
    lists = ("corpus_sha256", "checkpoint_sha256", "weights")
    run["origin"] |= {"representations": ["mfcc"], **{key: [""] for key in lists}}
    path.write_text(json.dumps(run))


def _make_resumed(folder: Path) -> None:
    ResumeFile(folder / "state.safetensors", "job").save(({"a": torch.ones(3)}, {"step": 3}))


def _read_resumed(folder: Path) -> None:
    ResumeFile(folder / "state.safetensors", "job").load()


def _make_kept(folder: Path) -> None:
    training = Training([{"step": 3, "best": True}], 3, 3, "budget", 1.0)
    keep(folder, {"job": [Trained({"a": torch.ones(3)}, training, "packed")]}, {"job": 0})


def _read_kept(folder: Path) -> None:
    read_kept(folder)


class _Attack:
    """What an evil pickle asks for."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ../pwned",)


def _make_checkpoint(folder: Path) -> None:
    shutil.copy(REFERENCES / "wav2vec_references" / "plain.pt", folder / "model.pt")


def _change_checkpoint(folder: Path, random: Random) -> None:
    path = folder / "model.pt"
    match random.randrange(6):
        case 0:
            content: Any = random.choice([_Attack(), {"args": _Attack(), "model": {}}, [1], None])
            torch.save(content, path, _use_new_zipfile_serialization=random.random() < 0.7)
        case 1:
            path.write_bytes(pickle.dumps({"args": _Attack(), "model": {}}))
        case 2:
            _change_members(path, random)
        case 3:
            content = torch.load(path, weights_only=False)
            content["args"] = damaged_value(vars(content["args"]), random)
            torch.save(content, path)
        case 4:
            content = torch.load(path, weights_only=False)
            name = random.choice(sorted(content["model"]))
            content["model"][name] = random.choice([torch.zeros(0), torch.ones(1), 7, None, "x"])
            torch.save(content, path)
        case _:
            change_file("model.pt", head=3000)(folder, random)


def _change_members(path: Path, random: Random) -> None:
    """Damage one member of a zip archive, or add one that wants to lie elsewhere."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(members))
    if random.random() < 0.6:
        members[name] = damaged_bytes(members[name], random, head=400)
    elif random.random() < 0.5:
        members["../../pwned"] = b"x"
    else:
        members[name] = bytes(1 << 26)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)


def _read_checkpoint(folder: Path) -> None:
    _build({"kind": "wav2vec", "checkpoint": str(folder / "model.pt")})


def _build(settings: dict[str, Any]) -> None:
    made = build_representation(parse_settings(RepresentationSettings, settings, "it"))
    if made.modality == "audio":
        made.extract([np.sin(np.arange(8_000) / 20).astype(np.float32)])


def _make_archive(folder: Path) -> None:
    shutil.copy(REFERENCES / "code_roberta_references" / "today.pt", folder / "bert_kmeans.pt")
    shutil.copy(REFERENCES / "code_roberta_references" / "dict.txt", folder)
    with tarfile.open(folder / "bert.tar", "w") as archive:
        for name in ("bert_kmeans.pt", "dict.txt"):
            archive.add(folder / name, f"bert/{name}")


def _change_archive(folder: Path, random: Random) -> None:
    path = folder / "bert.tar"
    match random.randrange(6):
        case 0:
            with tarfile.open(path, "a") as archive:
                member = tarfile.TarInfo(random.choice(["../../pwned", "/pwned", "bert/link.pt"]))
                if random.random() < 0.5:
                    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(member)
        case 1:
            path.write_bytes(gzip.compress(damaged_bytes(path.read_bytes(), random, 2000), 1))
        case 2:
            path.write_bytes(damaged_bytes(gzip.compress(path.read_bytes(), 1), random))
        case 3:
            with tarfile.open(path, "w:gz", compresslevel=1) as archive:  # 256 MB in 1
                for name in ("bert_kmeans.pt", "dict.txt"):
                    member = tarfile.TarInfo(name)
                    member.size = 1 << 27
                    archive.addfile(member, io.BytesIO(bytes(member.size)))
        case 4:
            text = (folder / "dict.txt").read_bytes()
            with tarfile.open(path, "w") as archive:
                archive.add(folder / "bert_kmeans.pt", "bert_kmeans.pt")
                member = tarfile.TarInfo("dict.txt")
                changed = damaged_bytes(text, random)
                member.size = len(changed)
                archive.addfile(member, io.BytesIO(changed))
        case _:
            change_file("bert.tar", head=2000)(folder, random)


def _read_archive(folder: Path) -> None:
    codes = REFERENCES / "wav2vec_references" / "vq_kmeans_shared.pt"
    _build({"kind": "code_roberta", "checkpoint": str(codes), "model": str(folder / "bert.tar")})


def _make_bert(folder: Path) -> None:
    (folder / "bert").mkdir()
    make_bert(folder / "bert")


def _change_bert(folder: Path, random: Random) -> None:
    if random.random() < 0.3:
        change_file("bert/*.safetensors", head=3000)(folder, random)
    elif random.random() < 0.5:
        path = folder / "bert" / "config.json"
        path.write_text(json.dumps(damaged_value(json.loads(path.read_text()), random)))
    else:
        change_text("bert/*.[jt][sx][ot]*")(folder, random)


def _read_bert(folder: Path) -> None:
    _build({"kind": "transformers_text", "model": str(folder / "bert")})


def _make_stamp(folder: Path) -> None:
    write_stamp(folder / "stamp.json", Origin("tiny", folder, "ab" * 32, "tiny.pt"))


def _read_stamp(folder: Path) -> None:
    read_stamp(folder / "stamp.json")


POOLED, SVM = {"kind": "pooled", "width": 4}, {"kind": "estimator", "method": "rbf_svm"}
LINEAR = {"kind": "estimator", "strengths": [0.01]}

STORED = [
    Kind("shard", _make_store, change_file("00.h5"), _read_store),
    Kind("signed shard", _make_store, _resign, _read_store),
    Kind("index of shards", _make_store, change_file("index.parquet"), _read_store),
    Kind("fold", _make_fold, change_file("*.parquet"), _read_fold),
    Kind("trained network", _make_run(POOLED), _change_run, _read_run),
    Kind("trained estimator", _make_run(LINEAR), _change_run, _read_run),
    Kind("trained machine", _make_run(SVM), _change_run, _read_run),
    Kind("run", _make_run_of_study, _change_run, _read_tabulated),
    Kind("kept trainings", _make_kept, change_file(KEPT, 400), _read_kept),
    Kind("interrupted training", _make_resumed, change_file("*.safetensors", 400), _read_resumed),
    Kind("checkpoint", _make_checkpoint, _change_checkpoint, _read_checkpoint),
    Kind("archive", _make_archive, _change_archive, _read_archive),
    Kind("folder of a model", _make_bert, _change_bert, _read_bert),
    Kind("stamp", _make_stamp, change_text("*.json"), _read_stamp),
]
