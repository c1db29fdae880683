"""The demo corpus: IEMOCAP's layout, reproducible, with the defects of real copies."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from emoscale.config.corpus import AudioChecks, DemoCorpus
from emoscale.corpus.demo import text_to_speech
from emoscale.corpus.demo.release import generate_demo
from emoscale.corpus.demo.script import plan_session
from emoscale.corpus.iemocap import EMOTIONS
from emoscale.corpus.readers import CorpusManifest, read_corpus
from tests.corpus.checked import check_recordings


def settings_for(root: Path) -> DemoCorpus:
    return DemoCorpus(reader="demo", root=str(root), sessions=2, utterances_per_session=50)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "generated"
    assert generate_demo(settings_for(root)) == 100
    return root


@pytest.fixture(scope="module")
def manifest(corpus: Path) -> CorpusManifest:
    return read_corpus(settings_for(corpus))


def tree_digest(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_equal_settings_give_equal_bytes(corpus: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    generate_demo(settings_for(again))
    assert tree_digest(again) == tree_digest(corpus)


def test_it_has_the_metadata_of_iemocap(manifest: CorpusManifest) -> None:
    utterances = manifest.utterances
    assert len(utterances) == 100
    assert {u.speaker for u in utterances} == {"Ses01F", "Ses01M", "Ses02F", "Ses02M"}
    assert {u.style for u in utterances} == {"improvised", "scripted"}
    emotions = {u.emotion for u in utterances}
    assert {"neu", "ang", "sad", "hap", "exc"} <= emotions
    assert emotions - {"neu", "ang", "sad", "hap", "exc"}
    assert all(u.votes and u.valence and u.transcript for u in utterances)
    assert {vote["label"] for u in utterances for vote in u.votes or ()} <= EMOTIONS
    assert sum(u.words is None for u in utterances) == 2


def test_scripts_repeat_between_sessions(manifest: CorpusManifest) -> None:
    texts = {
        session: {
            u.transcript
            for u in manifest.utterances
            if u.session == session and u.style == "scripted"
        }
        for session in ("Ses01", "Ses02")
    }
    assert len(texts["Ses01"] & texts["Ses02"]) >= len(texts["Ses01"]) // 2


def test_word_times_are_within_the_recording(corpus: Path, manifest: CorpusManifest) -> None:
    usable, _ = check_recordings(manifest, corpus, AudioChecks(), threads=2)
    for row in usable.iter_rows(named=True):
        for word in row["words"] or []:
            assert 0 < word["start"] < word["end"] <= row["seconds"] + 0.02


def test_its_defects_are_rejected(corpus: Path, manifest: CorpusManifest) -> None:
    usable, rejected = check_recordings(manifest, corpus, AudioChecks(), threads=2)
    reasons = sorted(rejected["reason"])
    assert reasons == sorted(
        ["missing", "silent", "truncated", "empty", *["no label", "not an utterance"] * 2]
    )
    assert len(usable) == 96
    assert sorted(usable["sample_rate"].unique()) == [8_000, 16_000]
    assert sorted(usable["channels"].unique()) == [1, 2]


def test_the_script_depends_on_the_seed(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    other = settings.model_copy(update={"seed": 2})
    first = [(turn.text, turn.label) for turn in plan_session(settings, 1)]
    assert first == [(turn.text, turn.label) for turn in plan_session(settings, 1)]
    assert first != [(turn.text, turn.label) for turn in plan_session(other, 1)]


def test_the_text_to_speech_program_does_not_import_the_library() -> None:
    source = Path(text_to_speech.__file__).read_text()
    assert "import emoscale" not in source
    assert "from emoscale" not in source
