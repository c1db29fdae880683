"""Trees of published corpora whose labels are in tables: complete copies, recordings empty."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from emoscale.corpus.releases.msp_podcast import VOTES

MELD_COUNTS = {
    "train": {
        **{"neutral": 4710, "joy": 1743, "surprise": 1205, "anger": 1109},
        **{"sadness": 683, "disgust": 271, "fear": 268},
    },
    "dev": {
        **{"neutral": 470, "joy": 163, "surprise": 150, "anger": 153},
        **{"sadness": 111, "disgust": 22, "fear": 40},
    },
    "test": {
        **{"neutral": 1256, "joy": 402, "surprise": 281, "anger": 345},
        **{"sadness": 208, "disgust": 68, "fear": 50},
    },
}
MELD_FOLDERS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}
MELD_COLUMNS = (
    *("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
)
MSP_IMPROV_COUNTS = {  # Table 4 of Busso et al. 2017: A, S, H, N, O, X
    "T": (115, 106, 136, 283, 1, 11),
    "R": (169, 80, 88, 241, 3, 39),
    "S": (470, 633, 1048, 1789, 70, 371),
    "P": (38, 66, 1372, 1164, 11, 134),
}
MSP_IMPROV_VOTES = dict(
    zip("ASHNOX", ("Angry", "Sad", "Happy", "Neutral", "Other", ""), strict=True)
)
PODCAST_COLUMNS = (
    *("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set"),
)
PODCAST_SPLITS = ("Train",) * 5 + ("Development", "Development", "Test1", "Test1", "Test2")


def write_files(folder: Path, names: Iterable[str]) -> None:
    """Write empty files and their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a comma-separated table and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_emozionalmente(folder: Path) -> None:
    """Write 986 samples of each emotion by 431 actors; of five votes, three name the emotion."""
    emotions = ("anger", "disgust", "fear", "joy", "neutrality", "sadness", "surprise")
    names = [f"{1613655062436 + number}.wav" for number in range(7 * 986)]
    samples = [
        (name, f"frase {number // 7 % 18}", "it", f"actor{number % 431}", emotions[number % 7])
        for number, name in enumerate(names)
    ]
    columns = ("file_name", "sentence", "sentence_language", "actor", "emotion_expressed")
    metadata = folder / "metadata"
    write_table(metadata / "samples.csv", columns, samples)
    write_table(
        metadata / "evaluations.csv",
        ("file_name", "evaluator", "audio_quality", "emotion_recognized"),
        (
            (name, f"rater{(number + vote) % 829}", "good", emotions[(number + vote // 3) % 7])
            for number, name in enumerate(names)
            for vote in range(5)
        ),
    )
    write_table(
        metadata / "users.csv",
        ("username", "gender", "age", "mother_tongue"),
        ((f"actor{n}", ("female", "male")[n % 2], 18 + n % 60, "it") for n in range(431)),
    )
    for split, actors in {"train": (0, 257), "dev": (257, 344), "test": (344, 431)}.items():
        rows = [row for number, row in enumerate(samples) if number % 431 in range(*actors)]
        write_table(metadata / "split" / f"{split}.csv", columns, rows)
    write_files(folder / "audio", names)


def write_meld(folder: Path) -> None:
    """Write dialogs of ten utterances, numbered from 0 in each split."""
    speakers = ("Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross")
    for split, counts in MELD_COUNTS.items():
        emotions = [emotion for emotion, count in counts.items() for _ in range(count)]
        count = len(emotions)
        emotions = [emotions[number * 1_009 % count] for number in range(count)]  # a prime: mixed
        rows = [
            (
                *(number + 1, f"I\x92m line {number}.", speakers[number % 6], emotion, "neutral"),
                *(number // 10, number % 10, 1, 1, "00:00:01,500", "00:00:03,250"),
            )
            for number, emotion in enumerate(emotions)
        ]
        write_table(folder / f"{split}_sent_emo.csv", MELD_COLUMNS, rows)
        names = (f"dia{number // 10}_utt{number % 10}.mp4" for number in range(count))
        write_files(folder / MELD_FOLDERS[split], names)


def write_msp_improv(folder: Path) -> None:
    """Write one block per recording, with three raters who agree unless the label is X."""
    blocks: list[str] = []
    for part, counts in MSP_IMPROV_COUNTS.items():
        labels = [label for label, n in zip("ASHNOX", counts, strict=True) for _ in range(n)]
        for number, label in enumerate(labels):
            session = number % 6 + 1
            scene = f"S{number // 24 % 20 + 1:02d}{'AHNS'[number // 6 % 4]}"
            speaker = f"{'FM'[number // 480 % 2]}0{session}"
            name = f"IMPROV-{scene}-{speaker}-{part}-FM{number // 960:02d}"
            ratings = "A:3.000000; V:3.500000; D:2.000000"
            votes = [MSP_IMPROV_VOTES[label]] * 3 if label != "X" else ["Angry", "Sad", "Other"]
            blocks.append(
                f"UTD-{name}.avi; {label}; {ratings} ; N:NaN;\n"
                + "".join(
                    f"rater-{rater}; {vote}; {vote},Frustrated; {ratings}; N:4.000000;\n"
                    for rater, vote in enumerate(votes)
                )
            )
            write_files(folder / f"session{session}" / scene / part, [f"MSP-{name}.wav"])
    (folder / "Evalution.txt").write_text("\n".join(blocks), encoding="latin-1")


def write_msp_podcast(folder: Path) -> None:
    """Write 400 utterances of ten labels by 40 speakers, and 10 of the set without labels."""
    names = [f"MSP-PODCAST_{number // 10:04d}_{number % 10:04d}" for number in range(400)]
    labels = ["ANHSFUDCOX"[number % 10] for number in range(400)]
    rows = [
        (
            *(
                f"{name}.wav",
                label,
                4.2,
                3.0,
                "5",
                number // 10,
                ("Male", "Female")[number // 10 % 2],
            ),
            PODCAST_SPLITS[number // 40],
        )
        for number, (name, label) in enumerate(zip(names, labels, strict=True))
    ]
    write_table(folder / "Labels" / "labels_consensus.csv", PODCAST_COLUMNS, rows)
    word_of = {emotion[:1].upper(): word for word, emotion in VOTES.items()} | {
        **{"S": "Sad", "U": "Surprise", "N": "Neutral", "X": "Other-bored"},
    }
    write_table(
        folder / "Labels" / "labels_detailed.csv",
        ("FileName", "EmoDetail"),
        (
            (f"{name}.wav", f"WORKER{rater:08d}; {word_of[label]}; Angry,Sad; A:5; V:2; D:6;")
            for name, label in zip(names, labels, strict=True)
            for rater in range(5)
        ),
    )
    hidden = [f"MSP-PODCAST_test3_{number:04d}" for number in range(1, 11)]
    write_files(folder / "Audios", (f"{name}.wav" for name in names + hidden))
    (folder / "Transcripts").mkdir()
    for name in names + hidden:
        (folder / "Transcripts" / f"{name}.txt").write_text(f"words of {name}\n", encoding="utf-8")


TREES_WITH_TABLES: dict[str, Callable[[Path], None]] = {
    "emozionalmente": write_emozionalmente,
    "meld": write_meld,
    "msp_improv": write_msp_improv,
    "msp_podcast": write_msp_podcast,
}
"""Function that writes the tree of each reader."""
