"""Trees of published corpora: the files of a complete copy, recordings empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice, product
from pathlib import Path

from emoscale.corpus.releases.emodb import RELEASE as EMODB


def write_files(folder: Path, names: Iterable[str], every: int = 1) -> None:
    """Write every n-th of some empty files, and their folders."""
    known = set()
    for name in islice(names, 0, None, every):
        path = folder / name
        if path.parent not in known:
            path.parent.mkdir(parents=True, exist_ok=True)
            known.add(path.parent)
        path.touch()


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a text file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)


def write_emodb(folder: Path, every: int = 1) -> None:
    codes = dict(zip("WLEAFTN", EMODB.counts, strict=True))
    speakers = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
    sentences = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    write_files(
        folder,
        (
            f"wav/{speaker}{sentence}{code}{version}.wav"
            for code, emotion in codes.items()
            for version, sentence, speaker in islice(
                product("ab", sentences, speakers), EMODB.counts[emotion]
            )
        ),
        every,
    )


def write_crema_d(folder: Path, every: int = 1) -> None:
    """Write 1,271 recordings of each emotion and 1,087 neutral ones, and a vote on each."""
    sentences = ["IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI"]
    takes = [("IEO", "LO"), ("IEO", "MD"), ("IEO", "HI"), *((name, "XX") for name in sentences[1:])]
    neutral = [(name, "XX") for name in sentences]
    stems = [
        f"{actor}_{sentence}_{code}_{level}"
        for code in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
        for (sentence, level), actor in islice(
            product(neutral if code == "NEU" else takes, range(1001, 1092)),
            1087 if code == "NEU" else 1271,
        )
    ]
    write_files(folder, (f"AudioWAV/{stem}.wav" for stem in stems), every)
    votes = [
        "".join(("1" if code == name[9] else "0") + "," for code in "ADFHNS") for name in stems
    ]
    write_text(
        folder / "processedResults/tabulatedVotes.csv",
        "\n".join(
            ['"","A","D","F","H","N","S","fileName"']
            + [
                f'"{modality}{n:05d}",{vote}"{stem}"'
                for modality in "123"
                for n, (stem, vote) in enumerate(zip(stems, votes, strict=True))
            ]
        ),
    )
    ages = "\n".join(f"{n},{n - 980},{('Male', 'Female')[n % 2]}" for n in range(1001, 1092))
    write_text(folder / "VideoDemographics.csv", f"ActorID,Age,Sex\n{ages}\n")


def write_ravdess(folder: Path, every: int = 1) -> None:
    write_files(
        folder,
        (
            f"Actor_{actor:02d}/03-01-{emotion:02d}-0{intensity}-0{sentence}-0{take}-{actor:02d}.wav"
            for actor, emotion, intensity, sentence, take in product(
                range(1, 25), range(1, 9), (1, 2), (1, 2), (1, 2)
            )
            if (emotion, intensity) != (1, 2)
        ),
        every,
    )


def write_tess(folder: Path, every: int = 1) -> None:
    emotions = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    write_files(
        folder,
        (
            f"{speaker}_{emotion}/{speaker}_word{number}_{emotion}.wav"
            for speaker, emotion, number in product(("OAF", "YAF"), emotions, range(200))
        ),
        every,
    )


def write_savee(folder: Path, every: int = 1) -> None:
    write_files(
        folder,
        (
            f"AudioData/{speaker}/{emotion}{number:02d}.wav"
            for speaker, emotion in product(
                ("DC", "JE", "JK", "KL"), ("a", "d", "f", "h", "n", "sa", "su")
            )
            for number in range(1, 31 if emotion == "n" else 16)
        ),
        every,
    )


def write_shemo(folder: Path, every: int = 1) -> None:
    """Write 31 women and 56 men; texts begin with a byte order mark and have direction marks."""
    speakers = [f"F{n:02d}" for n in range(1, 32)] + [f"M{n:02d}" for n in range(1, 57)]
    counts = {"A": 1059, "F": 38, "H": 201, "N": 1028, "S": 449, "W": 225}
    stems = [
        f"{speaker}{code}{number:02d}"
        for code, count in counts.items()
        for number, speaker in islice(product(range(1, 99), speakers), count)
    ]
    write_files(folder, (f"{'fe' * (stem[0] == 'F')}male/{stem}.wav" for stem in stems), every)
    for stem in stems[::25]:
        text = f"\u200fسلام {stem}\u200e\n"
        write_text(folder / f"transcript/final text/{stem}.ort", text, "utf-8-sig")


def write_nemo(folder: Path, every: int = 1) -> None:
    """Write nine speakers and 90 sentences; the speaker's column of the table has spaces."""
    counts = {
        "anger": 749,
        "fear": 736,
        "happiness": 749,
        "neutral": 809,
        "sadness": 769,
        "surprised": 669,
    }
    speakers = ("EB0", "KS0", "MP0", "MP1", "TP0", "WR0", "AB0", "CD0", "EF0")
    stems = [
        f"{speaker}_{emotion}_{sentence}"
        for emotion, count in counts.items()
        for sentence, speaker in islice(product(range(1, 91), speakers), count)
    ]
    write_files(folder, (f"samples/{stem}.wav" for stem in stems), every)
    rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for stem in stems:
        speaker, emotion, sentence = stem.split("_")
        sex = "male" if speaker in ("KS0", "MP0", "TP0", "WR0") else "female"
        rows.append(
            f"{stem}.wav\t{emotion}\tZdanie {sentence}.\tzdanie\t        {speaker}\t{sex}\t24"
        )
    write_text(folder / "data.tsv", "\n".join(rows) + "\n")


def write_emovo(folder: Path, every: int = 1) -> None:
    sentences = ["b1", "b2", "b3", "l1", "l2", "l3", "l4", "n1", "n2", "n3", "n4", "n5", "d1", "d2"]
    write_files(
        folder,
        (
            f"{speaker}/{emotion}-{speaker}-{sentence}.wav"
            for speaker, emotion, sentence in product(
                ("f1", "f2", "f3", "m1", "m2", "m3"),
                ("dis", "gio", "neu", "pau", "rab", "sor", "tri"),
                sentences,
            )
        ),
        every,
    )


def write_esd(folder: Path, every: int = 1) -> None:
    """Write 350 sentences of 20 speakers in five emotions, with the encodings of the release."""
    encodings = {
        **dict.fromkeys((1, 2, 4, 5, 9), "gb2312"),
        **dict.fromkeys((11, 15, 20), "utf-8"),
        **dict.fromkeys((16, 17), "latin-1"),
    }
    emotions = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
    chinese = ("中立", "生气", "快乐", "伤心", "惊喜")
    for speaker in range(1, 21):
        name = f"{speaker:04d}"
        lines, files = [], []
        for number in range(5 * 350):
            emotion, sentence = divmod(number, 350)
            split = "evaluation" if sentence < 20 else "test" if sentence < 50 else "train"
            files.append(f"{name}/{emotions[emotion]}/{split}/{name}_{number + 1:06d}.wav")
            text = f"打远一看{sentence}" if speaker <= 10 else f"Café number {sentence}"
            label = chinese[emotion] if speaker <= 10 else emotions[emotion]
            tab = " " if number == 25 else "\t"  # some lines of the release
            lines.append(f"{name}_{number + 1:06d}{tab}{text}\t{label}")
        write_files(folder, files, every)
        encoding = encodings.get(speaker, "utf-16")
        write_text(folder / name / f"{name}.txt", "\n".join(lines) + "\n\n", encoding)


def write_emov_db(folder: Path, every: int = 1) -> None:
    """Write the counts of the release; josh has no anger and no disgust."""
    counts = {"Amused": 1315, "Angry": 1267, "Disgusted": 1019, "Neutral": 1566, "Sleepy": 1720}
    for emotion, count in counts.items():
        speakers = ["bea", "jenie", "sam"] + ["josh"] * (emotion not in ("Angry", "Disgusted"))
        write_files(
            folder,
            (
                f"{speaker}_{emotion}/{emotion.lower()}_1-28_{sentence:04d}.wav"
                for sentence, speaker in islice(product(range(1, 594), speakers), count)
            ),
            every,
        )
    sentences = (f'( arctic_a{n:04d} "Sentence {n}, and more." )' for n in range(1, 594))
    write_text(folder / "cmuarctic.data", "\n".join(sentences))


def write_jl_corpus(folder: Path, every: int = 1) -> None:
    """Write 15 sentences twice in two sessions, each with its text."""
    emotions = ["angry", "sad", "neutral", "happy", "excited"]
    others = ["anxious", "apologetic", "assertive", "concerned", "encouraging"]
    stems = [
        f"{speaker}_{emotion}_{sentence}{session}_{take}"
        for speaker, emotion, sentence, session, take in product(
            ("female1", "female2", "male1", "male2"), emotions + others, range(1, 16), "ab", (1, 2)
        )
    ]
    parent = folder / "Raw JL corpus (unchecked and unannotated)" / "JL(wav+txt)"
    write_files(parent, (f"{stem}.wav" for stem in stems), every)
    for stem in stems[::25]:
        write_text(parent / f"{stem}.txt", "Jack views an art piece\n")


def write_cafe(folder: Path, every: int = 1) -> None:
    names = {
        "C": "Colère",
        "D": "Dégoût",
        "J": "Joie",
        "P": "Peur",
        "S": "Surprise",
        "T": "Tristesse",
    }
    actors = [f"{n:02d}" for n in range(1, 13)]
    write_files(
        folder / "CaFE_48k",
        [
            f"{names[code]}/{level}/{actor}-{code}-{number}-{sentence}.wav"
            for number, level in ((1, "Faible"), (2, "Fort"))
            for code, actor, sentence in product(names, actors, range(1, 7))
        ]
        + [
            f"Neutre/{actor}-N-1-{sentence}.wav" for actor, sentence in product(actors, range(1, 7))
        ],
        every,
    )


def write_aesdd(folder: Path, every: int = 1) -> None:
    """Write 20 sentences of six speakers, and second takes; some numbers have two digits."""
    counts = {"anger": 121, "disgust": 122, "fear": 120, "happiness": 119, "sadness": 123}
    for emotion, count in counts.items():
        names = [
            f"{emotion}/{emotion[0]}{sentence:02d} ({speaker}).wav"
            for sentence, speaker in product(range(1, 21), (1, 2, 3, 4, 5, 6))
        ]
        names += [f"{emotion}/{emotion[0]}{sentence:02d} (5)b.wav" for sentence in (1, 4, 18)]
        write_files(folder, (name.replace("d03 (1)", "d03 (01)") for name in names[:count]), every)


def write_subesco(folder: Path, every: int = 1) -> None:
    emotions = ["ANGRY", "DISGUST", "FEAR", "HAPPY", "NEUTRAL", "SAD", "SURPRISE"]
    write_files(
        folder,
        (
            f"{sex}_{number:02d}_NAME_S_{sentence}_{emotion}_{take}.wav"
            for sex, number, sentence, emotion, take in product(
                "FM", range(1, 11), range(1, 11), emotions, range(1, 6)
            )
        ),
        every,
    )


def write_mead(folder: Path, every: int = 1) -> None:
    """Write 28 men and 20 women; neutral has one level."""
    counts = dict(
        zip(
            ["angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised"],
            (4193, 4215, 4284, 4251, 4294, 1916, 4306, 4270),
            strict=True,
        )
    )
    speakers = [f"M{n:03d}" for n in range(3, 31)] + [f"W{n:03d}" for n in range(9, 29)]
    for emotion, count in counts.items():
        levels = (1,) if emotion == "neutral" else (1, 2, 3)
        write_files(
            folder,
            (
                f"{speaker}/audio/{emotion}/level_{level}/{number:03d}.m4a"
                for number, level, speaker in islice(product(range(1, 41), levels, speakers), count)
            ),
            every,
        )


def write_casia(folder: Path, every: int = 1) -> None:
    write_files(
        folder,
        (
            f"{speaker}/{emotion}/{number}.wav"
            for speaker, emotion, number in product(
                ("liuchanhg", "wangzhe", "zhaoquanyin", "zhaozuoxiang"),
                ("angry", "fear", "happy", "neutral", "sad", "surprise"),
                range(201, 251),
            )
        ),
        every,
    )


def write_urdu(folder: Path, every: int = 1) -> None:
    speakers = [f"SM{n}" for n in range(1, 28)] + [f"SF{n}" for n in range(1, 12)]
    write_files(
        folder,
        (
            f"{emotion}/{speakers[number % 38]}_F{number}_{emotion[0]}{number:03d}.wav"
            for emotion, number in product(("Angry", "Happy", "Neutral", "Sad"), range(1, 101))
        ),
        every,
    )


def write_baved(folder: Path, every: int = 1) -> None:
    """Write 1,935 recordings of 45 men and 16 women."""
    write_files(
        folder,
        (
            f"{level}/{speaker}-{'mf'[speaker >= 45]}-{20 + speaker % 9}-{word}-{level}-{n}.wav"
            for n, (take, word, level, speaker) in enumerate(
                islice(product((1, 2), range(7), range(3), range(61)), 1935)
            )
        ),
        every,
    )


def write_ased(folder: Path, every: int = 1) -> None:
    """Write five emotions of 65 speakers; one name begins with an upper-case letter."""
    counts = {"Neutral": 522, "Fearful": 510, "Happy": 486, "Sad": 470, "Angry": 486}
    for index, (emotion, count) in enumerate(counts.items(), start=1):
        names = [
            f"0{index}{emotion}/{emotion[0].lower()}{index}-{sentence:02d}-{take:02d}"
            f"-0{speaker % 2 + 1}-{speaker:02d}.wav"
            for take, sentence, speaker in islice(product((1, 2), range(1, 8), range(1, 66)), count)
        ]
        write_files(
            folder, (name.replace("s4-04-02-01-29", "S4-04-02-01-29") for name in names), every
        )


TREES: dict[str, Callable[..., None]] = {
    name.removeprefix("write_"): function
    for name, function in sorted(globals().items())
    if name.startswith("write_") and name not in ("write_files", "write_text")
}
"""Function of each corpus that writes every n-th recording of its tree, and its tables."""
