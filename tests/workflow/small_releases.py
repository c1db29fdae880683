"""Small corpora of each reader with empty audio files, for tests that read no audio."""

from __future__ import annotations

from pathlib import Path


def write_releases(folder: Path) -> None:
    """Write small corpora (see `CORPORA`), copies, fold files, and empty weights."""
    for parent in ("", "copies", "together", "together/elsewhere", "copies/together"):
        _write_csv(folder / parent / "recordings")
        _write_audformat(folder / parent / "audformat")
        _write_emodb(folder / parent / "emodb")
        _write_crema_d(folder / parent / "crema_d")
        _write_iemocap(folder / parent / "iemocap")
    for name in ("folds.csv", "others.csv"):
        (folder / name).write_text(f"utterance,fold\n0happy,{name}\n")
    for name in ("vq.pt", "roberta.pt", "my.pt", "mine"):
        (folder / name).write_text("")


def _write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _write_csv(folder: Path) -> None:
    """Write four speakers; others.csv changes a label, and the column who changes speakers."""
    head = "file,speaker,who,emotion,n_angry,transcript"
    rows = [
        f"{speaker}{emotion}.wav,{speaker},{speaker % 2 + 10},{emotion},2,words"
        for speaker in range(4)
        for emotion in ("angry", "sad")
    ]
    _write(folder / "utterances.csv", "\n".join([head, *rows, ""]))
    votes = [f"{row.partition('.')[0]},anna,angry" for row in rows]
    _write(folder / "votes.csv", "\n".join(["utterance,rater,label", *votes, ""]))
    rows[0] = rows[0].replace(",angry,", ",sad,")
    _write(folder / "others.csv", "\n".join([head, *rows, ""]))
    for row in rows:
        _write(folder / row.partition(",")[0])


def _write_audformat(folder: Path) -> None:
    """Write four speakers; the table others changes a label, the column who changes speakers."""
    tables = {
        "emotion": ["emotion", "speaker", "who"],
        "others": ["emotion"],
        "votes": ["anna", "ben"],
    }
    rows = {
        f"{speaker}{emotion}.wav": (emotion, str(speaker), str(speaker % 2 + 10))
        for speaker in range(4)
        for emotion in ("angry", "sad")
    }
    header = ["name: small", "source: none", "usage: unrestricted", "schemes:"]
    header += ["  emotion: {dtype: str}", "tables:"]
    for table, columns in tables.items():
        header += [f"  {table}:", "    type: filewise", "    columns:"]
        lines = [",".join(["file", *columns])]
        for name in columns:
            emotion = name not in ("speaker", "who")
            header.append(f"      {name}: {{{'scheme_id: emotion' if emotion else ''}}}")
        for file, values in rows.items():
            emotions = ["sad" if file == "0angry.wav" else values[0]] * len(columns)
            lines.append(",".join([file, *(values if table == "emotion" else emotions)]))
        _write(folder / f"db.{table}.csv", "\n".join([*lines, ""]))
    _write(folder / "db.yaml", "\n".join([*header, ""]))
    for file in rows:
        _write(folder / file)


def _write_emodb(folder: Path) -> None:
    for speaker in ("03", "08", "09", "10"):
        for emotion in ("W", "N"):
            _write(folder / "wav" / f"{speaker}a01{emotion}a.wav")


def _write_crema_d(folder: Path) -> None:
    """Write four speakers; listeners perceive the first emotion as the other one."""
    rows = [",A,D,F,H,N,S,fileName"]
    for number, speaker in enumerate(range(1001, 1005)):
        for letters in ("ANG", "NEU"):
            name = f"{speaker}_DFA_{letters}_XX"
            _write(folder / "AudioWAV" / f"{name}.wav")
            angry = 3 if number and letters == "ANG" else 0
            rows.append(f"10000{number},{angry},0,0,0,{3 - angry},0,{name}")
    _write(folder / "processedResults" / "tabulatedVotes.csv", "\n".join([*rows, ""]))
    _write(folder / "VideoDemographics.csv", "ActorID,Age,Sex,Race,Ethnicity\n")


def _write_iemocap(folder: Path) -> None:
    for session in (1, 2):
        dialog = f"Ses0{session}F_impro01"
        session_folder = folder / f"Session{session}"
        labels, texts = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""], []
        for number, emotion in enumerate(("ang", "neu")):
            for sex in "FM":
                name = f"{dialog}_{sex}{number:03d}"
                labels += [f"[0.0 - 1.0]\t{name}\t{emotion}\t[2.5, 2.5, 2.5]", ""]
                texts.append(f"{name} [000.0000-001.0000]: words")
                _write(session_folder / "sentences" / "wav" / dialog / f"{name}.wav")
        _write(session_folder / "dialog" / "EmoEvaluation" / f"{dialog}.txt", "\n".join(labels))
        _write(session_folder / "dialog" / "transcriptions" / f"{dialog}.txt", "\n".join(texts))
