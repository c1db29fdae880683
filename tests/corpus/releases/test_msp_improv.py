"""MSP-IMPROV: copied raters, missing ratings, and other names of the same files."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.readers import read_corpus
from emoscale.runtime.errors import CorpusError

TABLE = """UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.000000; V:NaN; D:3.500000 ; N:4.000000;
W-1; Neutral; Neutral; A:2.000000; V:2.000000; D:4.000000; N:4.000000;
W-1; Neutral; Neutral; A:2.000000; V:2.000000; D:4.000000; N:4.000000;
W_2; Angry; Angry,Frustrated; A:2.000000; V:2.000000; D:4.000000; N:4.000000;

UTD-IMPROV-S20H-M06-T-MM01.avi; X; A:3.000000; V:3.000000; D:3.000000 ; N:4.000000;

UTD-IMPROV-S01A-F01-P-FM02.avi; Q; A:3.000000; V:3.000000; D:3.000000 ; N:4.000000;
UTD
"""


def test_blocks_of_the_table(tmp_path: Path) -> None:
    recordings = ("session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav", "session1/S01A/P/hello.wav")
    for name in recordings:
        (tmp_path / "Audio" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "Audio" / name).touch()
    (tmp_path / "Evaluation.txt").write_text(TABLE)
    text = tmp_path / "All_human_transcriptions" / "session1" / "MSP-IMPROV-S01A-F01-P-FM01.txt"
    text.parent.mkdir(parents=True)
    text.write_text("Hello.\n")
    settings = ReleaseCorpus(reader="msp_improv", root=str(tmp_path))
    manifest = read_corpus(settings)
    first, second = manifest.utterances
    assert first.votes == [
        {"rater": "W-1", "label": "neutral"},
        {"rater": "W_2", "label": "anger"},
    ]
    assert (first.activation, first.valence, first.dominance) == (3.0, None, 3.5)
    assert (first.audio, first.transcript) == (f"Audio/{recordings[0]}", "Hello.")
    assert (first.acted, first.style, first.dialog) == (None, "improvised", "session1_S01A")
    assert (second.emotion, second.acted, second.votes) == ("no agreement", "happiness", None)
    assert second.audio == "session6/S20H/T/MSP-IMPROV-S20H-M06-T-MM01.wav"
    assert [(row.file, row.reason) for row in manifest.rejected] == [
        ("Evaluation.txt", "block not understood"),
        ("Audio/session1/S01A/P/hello.wav", "no label"),
        (".", "other counts"),
    ]
    (tmp_path / "Evaluation.txt").unlink()
    with pytest.raises(CorpusError, match=r"has no table Evalution.txt or Evaluation.txt"):
        read_corpus(settings)
