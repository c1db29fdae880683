"""The demo corpus: IEMOCAP's layout, reproducible, with the defects of real copies."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoscale.config.corpus import AudioChecks, DemoCorpus
from emoscale.config.pretraining import DemoSpeech
from emoscale.corpus.demo import text_to_speech
from emoscale.corpus.demo.release import generate_demo
from emoscale.corpus.demo.script import plan_session
from emoscale.corpus.demo.sentences import CUES
from emoscale.corpus.demo.unlabelled import generate_speech, plan_speaker
from emoscale.corpus.demo.voice import EMOTIONS as VOICE_EMOTIONS
from emoscale.corpus.demo.voice import sample_speaker, sample_unlabelled_speaker
from emoscale.corpus.readers import CorpusManifest, read_corpus
from emoscale.corpus.releases.iemocap import EMOTIONS
from tests.corpus.checked import check_recordings

TEXT_FILES = 118
TEXTS_SHA256 = "a88814c4f1f60b3b1d65404320441d5611ad3c4b6382515806bf2ab4bf9b2f85"


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


def test_the_corpus_is_that_of_earlier_versions(corpus: Path) -> None:
    """The texts that state labels, words and their times; measured in version 0.1.0.

    The audio is not compared: a processor may round a sample in another way.
    """
    texts = {
        name: digest
        for name, digest in tree_digest(corpus).items()
        if not name.endswith((".wav", "README.txt"))
    }
    assert len(texts) == TEXT_FILES
    joined = "".join(f"{name} {texts[name]}\n" for name in sorted(texts))
    assert hashlib.sha256(joined.encode()).hexdigest() == TEXTS_SHA256


def speech_settings(root: Path, **values: int) -> DemoSpeech:
    return DemoSpeech(
        reader="demo_speech", root=str(root), speakers=3, utterances_per_speaker=4
    ).model_copy(update=values)


def test_unlabelled_speech_has_a_folder_per_speaker(tmp_path: Path) -> None:
    assert generate_speech(speech_settings(tmp_path / "speech")) == 12
    files = sorted((tmp_path / "speech").rglob("*.wav"))
    names = [str(path.relative_to(tmp_path / "speech")) for path in files]
    assert names == [
        f"speaker{s:03d}/speaker{s:03d}_{n:04d}.wav" for s in (1, 2, 3) for n in (1, 2, 3, 4)
    ]
    infos = [soundfile.info(path) for path in files]
    assert {(info.samplerate, info.channels, info.subtype) for info in infos} == {
        (16_000, 1, "PCM_16")
    }
    assert 1.5 < sum(info.duration for info in infos) / len(infos) < 5.0
    digests = tree_digest(tmp_path / "speech")
    assert len({*digests.values()}) == 13
    generate_speech(speech_settings(tmp_path / "again"))
    assert tree_digest(tmp_path / "again") == digests
    generate_speech(speech_settings(tmp_path / "again", seed=2, speakers=2))
    again = tree_digest(tmp_path / "again")
    assert len(again) == 9  # the folder is replaced
    assert not {*again.values()} & {*digests.values()}


@pytest.mark.parametrize("seed", [1, 2])
def test_unlabelled_voices_are_those_of_no_session(seed: int) -> None:
    labelled = [
        sample_speaker(seed, session, sex) for session in range(1, 10) for sex in ("F", "M")
    ]
    unlabelled = [sample_unlabelled_speaker(seed, number) for number in range(1, 201)]
    accents, variants = (
        [{speaker.name.split("+")[part] for speaker in group} for group in (labelled, unlabelled)]
        for part in (0, 1)
    )
    assert not accents[0] & accents[1]
    assert not variants[0] & variants[1]
    assert len({speaker.name for speaker in unlabelled}) == 40
    assert {speaker.sex for speaker in unlabelled[:2]} == {"F", "M"}
    offsets = {tuple(speaker.offsets) for speaker in labelled + unlabelled}
    assert len(offsets) == 218


def test_the_names_of_unlabelled_voices_exist_and_sound_different(tmp_path: Path) -> None:
    """One sentence by each: espeak-ng ignores a variant that it does not know."""
    voices = [sample_unlabelled_speaker(1, number).name for number in range(1, 41)]
    voices += sorted({voice.partition("+")[0] for voice in voices})  # without variants
    requests = "".join(
        json.dumps(
            {
                "id": str(number),
                "text": "I left the letter in the kitchen.",
                "voice": voice,
                "rate": 170,
                "pitch": 50,
                "range": 50,
            }
        )
        + "\n"
        for number, voice in enumerate(voices)
    )
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        program = [sys.executable, text_to_speech.__file__, str(tmp_path / folder)]
        subprocess.run(program, input=requests, text=True, check=True, capture_output=True)
    digests = tree_digest(tmp_path / "one")
    assert len({*digests.values()}) == 44
    assert tree_digest(tmp_path / "two") == digests  # no breath noise, which differs


def test_unlabelled_speech_has_all_emotions_with_varied_intensity(tmp_path: Path) -> None:
    settings = speech_settings(tmp_path, utterances_per_speaker=200)
    sentences = plan_speaker(settings, 1)
    voices = [sentence.voice for sentence in sentences]
    texts = " ".join(sentence.text for sentence in sentences)
    cues = {emotion: sum(cue in texts for cue in CUES[emotion]) for emotion in CUES}
    assert min(cues.values()) > 0
    assert {*CUES} == {*VOICE_EMOTIONS}
    assert np.std([voice.words_per_minute for voice in voices]) > 20
    assert np.std([voice.pitch for voice in voices]) > 10
    assert [sentence.name for sentence in sentences] == [
        f"speaker001_{n:04d}" for n in range(1, 201)
    ]
    others = [sentence.text for sentence in plan_speaker(settings, 3)]
    assert others != [sentence.text for sentence in sentences]
