"""The IEMOCAP reader on a small release with every irregularity of the real one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.iemocap_alignment import AlignmentError, read_word_segments
from emoscale.corpus.readers import CorpusManifest, Utterance, read_corpus
from emoscale.corpus.releases.iemocap import EMOTIONS
from emoscale.runtime.errors import CorpusError

LABELS = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral; Frustration;\t()
C-E4:\tNeutral;\t()
C-F1:\tNeutral;\t(curious)
A-E3:\tval 3; act 2; dom  2;\t()
A-E4:\tval 2; act 3; dom  3;\t(mildly aggravated but staying polite, attitude)
A-F1:\tval 3; act 2; dom  ;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\txxx\t[-1.0000, -1.0000, -1.0000]
C-E2:\tNeutral;\t()

[14.8872 - 18.0175]\tSes01F_impro01_M001\tfoo\t[2.5000, 2.5000, 2.5000]
[1.0 - 2.0] broken line
"""
TRANSCRIPTS = """Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me: [LAUGHTER] now?
Ses01F_impro01_M000 [010.0100-011.3925]: [BREATHING]
M: sorry
Ses01F_impro01_FXX0 [011.0000-012.0000]: Wait.
"""
WORDS = """ SFrm  EFrm    SegAScr Word
    0    12    -123456 <s>
   13    39     -77777 EXCUSE(2)
   40    55     -77777 ME
   56    80     -77777 ++LAUGHTER++
   81    90     -77777 <sil>
   91    99     -77777 </s>
 Total score:      -411111
"""


def make_release(root: Path, line_end: str = "\n") -> Path:
    session = root / "Session1"
    evaluation = session / "dialog" / "EmoEvaluation"
    transcriptions = session / "dialog" / "transcriptions"
    wavs = session / "sentences" / "wav" / "Ses01F_impro01"
    alignments = session / "sentences" / "ForcedAlignment" / "Ses01F_impro01"
    for folder in (evaluation / "Categorical", transcriptions, wavs, alignments):
        folder.mkdir(parents=True)
    (evaluation / "Ses01F_impro01.txt").write_bytes(LABELS.replace("\n", line_end).encode())
    (evaluation / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07")
    (evaluation / "Categorical" / "Ses01F_impro01_e2_cat.txt").write_text(
        LABELS.replace("neu", "ang")
    )
    (transcriptions / "Ses01F_impro01.txt").write_bytes(
        TRANSCRIPTS.replace("\n", line_end).encode()
    )
    (alignments / "Ses01F_impro01_F000.wdseg").write_text(WORDS)
    (wavs / "Ses01F_impro01_F009.wav").write_bytes(b"not read by the reader")
    (wavs / "._Ses01F_impro01_F000.wav").write_bytes(b"\x00\x05\x16\x07")
    (root / "IEMOCAP_EmoEvaluation.txt").write_text(LABELS)
    return root


def read_release(root: Path) -> CorpusManifest:
    return read_corpus(ReleaseCorpus(reader="iemocap", root=str(root)))


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_utterance_with_all_fields(tmp_path: Path, line_end: str) -> None:
    manifest = read_release(make_release(tmp_path, line_end))
    assert [u.utterance for u in manifest.utterances] == [
        "Ses01F_impro01_F000",
        "Ses01F_impro01_M000",
    ]
    assert manifest.utterances[0] == Utterance(
        utterance="Ses01F_impro01_F000",
        audio="Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        speaker="Ses01F",
        sex="F",
        session="Ses01",
        dialog="Ses01F_impro01",
        style="improvised",
        emotion="neu",
        language="en",
        valence=2.5,
        activation=2.5,
        dominance=2.5,
        votes=[
            {"rater": "E2", "label": "neu"},
            {"rater": "E3", "label": "neu"},
            {"rater": "E3", "label": "fru"},
            {"rater": "E4", "label": "neu"},
            {"rater": "F1", "label": "neu"},
        ],
        transcript="Excuse me: [LAUGHTER] now?",
        words=[
            {"word": "EXCUSE", "start": 0.13, "end": 0.40},
            {"word": "ME", "start": 0.40, "end": 0.56},
            {"word": "[LAUGHTER]", "start": 0.56, "end": 0.81},
        ],
    )


def test_the_last_letter_is_the_speaker_and_ratings_off_the_scale_are_none(tmp_path: Path) -> None:
    second = read_release(make_release(tmp_path)).utterances[1]
    assert (second.speaker, second.sex) == ("Ses01M", "M")
    assert (second.valence, second.activation, second.dominance) == (None, None, None)
    assert second.words is None


@pytest.mark.parametrize("change_case", [str, str.lower, str.upper])
def test_votes_use_the_codes_of_the_consensus_labels(
    tmp_path: Path, change_case: Callable[[str], str]
) -> None:
    codes = {
        "Neutral": "neu",
        "Anger": "ang",
        "Happiness": "hap",
        "Excited": "exc",
        "Sadness": "sad",
        "Frustration": "fru",
        "Fear": "fea",
        "Surprise": "sur",
        "Disgust": "dis",
        "Other": "oth",
    }
    labels = "; ".join(map(change_case, codes))
    make_release(tmp_path)
    path = tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(LABELS.replace("C-E2:\tNeutral;", f"C-E2:\t{labels};", 1))
    votes = read_release(tmp_path).utterances[0].votes
    assert votes is not None
    assert [vote["label"] for vote in votes if vote["rater"] == "E2"] == list(codes.values())
    assert set(codes.values()) == EMOTIONS - {"xxx"}


def test_an_unknown_vote_is_stored_unchanged_and_reported(tmp_path: Path) -> None:
    make_release(tmp_path)
    path = tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(LABELS.replace("C-E4:\tNeutral;", "C-E4:\tNeutral state; Sadness;", 1))
    manifest = read_release(tmp_path)
    votes = manifest.utterances[0].votes
    assert votes is not None
    assert votes[3:5] == [
        {"rater": "E4", "label": "Neutral state"},
        {"rater": "E4", "label": "sad"},
    ]
    (row,) = [row for row in manifest.rejected if row.reason == "unknown vote"]
    assert (row.utterance, row.location) == ("Ses01F_impro01_F000", "line 6")
    assert row.detail.startswith("E4 voted Neutral state, which is not one of neutral, happiness")


def test_every_rejected_entry_has_a_row(tmp_path: Path) -> None:
    rejected = read_release(make_release(tmp_path)).rejected
    assert {(row.reason, row.utterance, row.location) for row in rejected} == {
        ("unknown label", "Ses01F_impro01_M001", "line 15"),
        ("label not understood", None, "line 16"),
        ("not an utterance", None, "line 3"),
        ("no label", "Ses01F_impro01_FXX0", "line 4"),
        ("no label", "Ses01F_impro01_F009", None),
    }


@pytest.mark.parametrize(
    ("name", "speaker", "dialog", "style"),
    [
        ("Ses03M_impro05a_F001", "Ses03F", "Ses03M_impro05a", "improvised"),
        ("Ses03M_impro08b_M013", "Ses03M", "Ses03M_impro08b", "improvised"),
        ("Ses05M_script01_1b_F029", "Ses05F", "Ses05M_script01_1b", "scripted"),
        ("Ses02F_script03_2_M040", "Ses02M", "Ses02F_script03_2", "scripted"),
    ],
)
def test_irregular_names(tmp_path: Path, name: str, speaker: str, dialog: str, style: str) -> None:
    folder = tmp_path / "Session1" / "dialog" / "EmoEvaluation"
    folder.mkdir(parents=True)
    (folder / f"{dialog}.txt").write_text(f"[0.1 - 0.2]\t{name}\tang\t[2.0, 3.0, 4.0]\n")
    (utterance,) = read_release(tmp_path).utterances
    assert (utterance.speaker, utterance.dialog, utterance.style) == (speaker, dialog, style)
    assert utterance.transcript is None


def test_an_invalid_name_and_a_duplicate_key_are_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "Session1" / "dialog" / "EmoEvaluation"
    folder.mkdir(parents=True)
    (folder.parent / "transcriptions").mkdir()
    line = "[0.1 - 0.2]\tSes01F_impro01_F000\tang\t[2.0, 3.0, 4.0]\n"
    (folder / "a.txt").write_text(line + line.replace("ang", "sad"))
    (folder / "b.txt").write_text(line.replace("Ses01F_impro01_F000", "Ses01_what_F000"))
    manifest = read_release(tmp_path)
    assert [u.emotion for u in manifest.utterances] == ["ang"]
    assert [row.reason for row in manifest.rejected] == ["duplicate key", "name not understood"]
    assert "line 1" in manifest.rejected[0].detail


def test_a_session_without_label_files_is_reported(tmp_path: Path) -> None:
    make_release(tmp_path)
    (tmp_path / "Session1").rename(tmp_path / "Session2")
    make_release(tmp_path)
    shutil.rmtree(tmp_path / "Session2" / "dialog" / "EmoEvaluation")
    manifest = read_release(tmp_path)
    assert len(manifest.utterances) == 2
    rejected = [row for row in manifest.rejected if row.file.startswith("Session2")]
    assert {(row.reason, row.utterance) for row in rejected} == {
        ("missing", None),
        ("not an utterance", None),
        ("no label", "Ses01F_impro01_F000"),
        ("no label", "Ses01F_impro01_M000"),
        ("no label", "Ses01F_impro01_FXX0"),
        ("no label", "Ses01F_impro01_F009"),
    }


def test_two_transcripts_of_one_utterance(tmp_path: Path) -> None:
    make_release(tmp_path)
    path = tmp_path / "Session1" / "dialog" / "transcriptions" / "Ses01F_impro01.txt"
    path.write_text(TRANSCRIPTS + "Ses01F_impro01_F000 [006.2901-008.2357]: Something else.\n")
    manifest = read_release(tmp_path)
    assert manifest.utterances[0].transcript == "Excuse me: [LAUGHTER] now?"
    assert "duplicate transcript" in {row.reason for row in manifest.rejected}


def test_the_root_may_be_the_parent_folder(tmp_path: Path) -> None:
    make_release(tmp_path / "IEMOCAP_full_release")
    (first, _) = read_release(tmp_path).utterances
    assert first.audio.startswith("IEMOCAP_full_release/Session1/")


@pytest.mark.parametrize("exists", [False, True])
def test_a_root_that_is_not_a_release_is_an_error(tmp_path: Path, exists: bool) -> None:
    root = tmp_path / "elsewhere"
    if exists:
        (root / "Session1").mkdir(parents=True)
    with pytest.raises(CorpusError, match=r"expected .*Session1/dialog/EmoEvaluation"):
        read_release(root)


def test_an_invalid_alignment_only_removes_the_word_times(tmp_path: Path) -> None:
    make_release(tmp_path)
    path = next(tmp_path.rglob("*.wdseg"))
    path.write_text(WORDS.replace("13    39", "39    13"))
    manifest = read_release(tmp_path)
    assert len(manifest.utterances) == 2
    assert manifest.utterances[0].words is None
    (row,) = [row for row in manifest.rejected if row.reason == "alignment not understood"]
    assert row.location == "line 3"
    with pytest.raises(AlignmentError, match="not a row"):
        read_word_segments(["   1  two  -3 WORD", " Total score: -3"])
    with pytest.raises(AlignmentError, match="truncated"):
        read_word_segments(WORDS.split("\n")[:4])
    with pytest.raises(AlignmentError, match="truncated"):
        read_word_segments([])
