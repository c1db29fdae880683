"""The invalidation table: for every key of the configuration, which steps a change of it reruns.

    python -m tests.workflow.invalidation > docs/invalidation.md

The effects are written down here; that Snakemake does just that is shown by test_invalidation.py.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from emoscale.config.study import Study

Job = tuple[str, str]
"""A rule, and the representation, experiment or checkpoint that it works for; or nothing."""

OUTSIDE = "tests.workflow.outside:Loudness"
STUDY: dict[str, Any] = {
    "study": "wide",
    "seed": 3,
    "corpus": {"reader": "demo", "root": "results/raw", "sessions": 3, "utterances": 48},
    "shards": 1,
    "labels": {"classes": {"active": ["ang", "hap", "exc"], "calm": ["neu", "sad"]}},
    "checkpoints": {
        "file": {"url": "https://example.org/w.pt"},
        "hub": {"hub": "some/model"},
        "made": {"untrained": "wav2vec2"},
    },
    "representations": {
        "logmel": {"kind": "logmel"},
        "mfcc": {"kind": "mfcc"},
        "opensmile": {"kind": "opensmile", "level": "functionals"},
        "waveform": {"kind": "waveform"},
        "wav2vec": {"kind": "wav2vec", "checkpoint": "file"},
        "vq": {"kind": "vq_wav2vec", "checkpoint": "vq.pt"},
        "roberta": {"kind": "code_roberta", "checkpoint": "vq.pt", "model": "roberta.pt"},
        "wav2vec2": {"kind": "transformers_audio", "model": "made", "layer": [0, 2]},
        "bert": {"kind": "transformers_text", "model": "hub"},
        "outside": {"kind": OUTSIDE},
    },
    "protocol": {"fold_unit": "session", "folds": 1, "tested": ["Ses01"], "repeats": 2},
    "sizes": [8, "all"],
    "models": {
        "pooled": {"kind": "pooled"},
        "convolutional": {"kind": "convolutional"},
        "recurrent": {"kind": "recurrent"},
        "waveform": {"kind": "waveform"},
        "svm": {"kind": "estimator"},
        "aligned": {"kind": "aligned_fusion"},
        "early": {"kind": "early_fusion"},
        "late": {
            "kind": "late_fusion",
            "parts": [{"kind": "pooled"}, {"kind": "convolutional"}],
        },
        "later": {"kind": "late_fusion", "parts": [{"kind": "recurrent"}, {"kind": "recurrent"}]},
    },
    "experiments": {
        "logmel": {"representations": ["logmel"], "model": "pooled"},
        "mfcc": {"representations": ["mfcc"], "model": "convolutional"},
        "opensmile": {"representations": ["opensmile"], "model": "svm"},
        "waveform": {"representations": ["waveform"], "model": "waveform"},
        "wav2vec": {"representations": ["wav2vec"], "model": "recurrent"},
        "vq": {"representations": ["vq"], "model": "pooled"},
        "roberta": {"representations": ["roberta"], "model": "pooled"},
        "wav2vec2": {"representations": ["wav2vec2/2"], "model": "pooled"},
        "bert": {"representations": ["bert"], "model": "pooled"},
        "outside": {"representations": ["outside"], "model": "pooled"},
        "aligned": {"representations": ["logmel", "bert"], "model": "aligned"},
        "early": {"representations": ["logmel", "bert"], "model": "early"},
        "late": {"representations": ["logmel", "bert"], "model": "late"},
        "later": {"representations": ["logmel", "bert"], "model": "later"},
    },
    "robustness": {
        "experiments": ["mfcc"],
        "conditions": {
            "white": {"noise": "white", "snr_db": 10},
            "babble": {"noise": "babble", "snr_db": 10},
            "room": {"reverberation_seconds": 0.5},
            "phone": {"band": "telephone"},
        },
    },
}
CORPORA: dict[str, dict[str, Any]] = {
    "csv": {"reader": "csv", "root": "recordings"},
    "emodb": {"reader": "emodb", "root": "emodb"},
    "iemocap": {"reader": "iemocap", "root": "iemocap"},
    "several": {
        "reader": "several",
        "root": "together",
        "corpora": {
            "first": {"reader": "csv", "root": "recordings"},
            "second": {"reader": "emodb", "root": "emodb"},
            "third": {"reader": "iemocap", "root": "iemocap"},
        },
    },
}
"""Which of them lie in a study's folder (see small_releases.py); copies have the same times."""

SMALL: dict[str, Any] = {
    "study": "small",
    "corpus": CORPORA["csv"],
    "shards": 2,
    "labels": {"classes": {"active": ["ang", "anger", "angry"], "calm": ["neu", "neutral", "sad"]}},
    "checkpoints": {"made": {"untrained": "bert"}},
    "representations": {
        "mfcc": {"kind": "mfcc"},
        "bert": {"kind": "transformers_text", "model": "made"},
    },
    "protocol": {"fold_unit": "speakers", "folds": 2},
    "sizes": ["all"],
    "models": {"pooled": {"kind": "pooled"}},
    "experiments": {
        "mfcc": {"representations": ["mfcc"], "model": "pooled"},
        "bert": {"representations": ["bert"], "model": "pooled"},
    },
}
READERS = {name: each["representations"] for name, each in STUDY["experiments"].items()}
MODELS = {name: each["model"] for name, each in STUDY["experiments"].items()}
CONDITIONS = list(STUDY["robustness"]["conditions"])


def of(*rules: str, who: str = "") -> frozenset[Job]:
    return frozenset((rule, who) for rule in rules)


# What follows from what, from the end to the beginning.
REPORT = of("write_report")
EVIDENCE = of("measure_efficiency", "draw_evidence") | REPORT
TABLES = EVIDENCE | of(
    *("make_tables", "draw_figures", "compare_experiments", "slice_scores", "draw_slices"),
    "draw_robustness",
)
ROBUSTNESS = of("score_robustness", "draw_robustness") | REPORT


def trained(*experiments: str) -> frozenset[Job]:
    """These are trained again, and tested again on changed audio where they are at all."""
    jobs = TABLES
    for name in experiments:
        jobs |= of("train", who=name)
        if name == "mfcc":
            jobs |= of("test_robustness", who=name) | ROBUSTNESS
    return jobs


def heard(*conditions: str) -> frozenset[Job]:
    """What is heard under these conditions is extracted again."""
    jobs = of("test_robustness", who="mfcc") | ROBUSTNESS
    for condition in conditions:
        jobs |= of("extract_perturbed", "index_perturbed", who=condition)
    return jobs


def extracted(representation: str) -> frozenset[Job]:
    """It is extracted again, and what reads it is trained again."""
    readers = [name for name, read in READERS.items() if _names(read, representation)]
    jobs = of("extract_features", "index_features", who=representation) | trained(*readers)
    return jobs | heard(*CONDITIONS) if representation == "mfcc" else jobs


def modelled(model: str) -> frozenset[Job]:
    """What has this model is trained again."""
    return trained(*(name for name, own in MODELS.items() if own == model))


def _names(read: list[str], representation: str) -> bool:
    return representation in [reference.partition("/")[0] for reference in read]


NOTHING: frozenset[Job] = frozenset()
ALL_TRAINED = trained(*READERS)
PROTOCOL = of("make_fold", "check_protocol") | ALL_TRAINED
LABELS = (
    of("label_corpus", "audit_corpus", "list_tested") | PROTOCOL | ROBUSTNESS | heard(*CONDITIONS)
)
DECLARED = of("read_corpus") | LABELS
READING = DECLARED | of("read_shard", "read_texts", "measure_shard", "find_duplicates")
for _name in STUDY["representations"]:
    READING |= extracted(_name)
FETCHED = of("fetch_checkpoint", who="file")
for _name in ("hub", "made"):
    FETCHED |= of("fetch_checkpoint", who=_name)
EVERYTHING = READING | FETCHED

# Of the small study, which reads a corpus that is there.
SMALL_PROTOCOL = (
    TABLES - of("draw_robustness")
    | of("make_fold", "check_protocol")
    | of("train", who="mfcc")
    | of("train", who="bert")
)
SMALL_DECLARED = of("read_corpus", "label_corpus", "audit_corpus") | SMALL_PROTOCOL
SMALL_READING = SMALL_DECLARED | of("read_shard", "read_texts", "measure_shard", "find_duplicates")
for _name in ("mfcc", "bert"):
    SMALL_READING |= of("extract_features", "index_features", who=_name)


@dataclass(frozen=True)
class Row:
    """A change of one key, and what it reruns."""

    to: Any
    """The key's new value."""

    effect: frozenset[Job]

    words: str
    """The effect as the page says it."""

    path: str = ""
    """Where the key stands in the study; where it is not its name."""

    given: dict[str, Any] = field(default_factory=dict)
    """What the study has instead, so that the key means anything: {path: value}."""

    small: bool = False
    """Whether the study is the small one."""


def representation(name: str, to: Any, key: str, **given: Any) -> Row:
    words = f"extraction of this representation; training of what reads it; {_TABLES}"
    return Row(to, extracted(name), words, f"representations.{name}.{key}", given)


def model(name: str, to: Any, key: str) -> Row:
    words = f"training of what has this model; {_TABLES}"
    return Row(to, modelled(name), words, f"models.{name}.{key}")


def nothing(to: Any, path: str = "") -> Row:
    return Row(to, NOTHING, "nothing", path)


_TABLES = "tables, figures, report"
_PROTOCOL = f"folds and their check; all training; {_TABLES}"
_LABELS = f"labels, audit; {_PROTOCOL}; changed audio at most"
_DECLARED = f"the corpus's tables; {_LABELS}; no features"
_READING = "the recordings, and at most everything behind them"
_HEARD = "extraction under this condition; tests on changed audio; report"


def protocol(to: Any, **given: Any) -> Row:
    return Row(to, PROTOCOL, _PROTOCOL, given=given)


def reading(corpus: str, to: Any, effect: frozenset[Job], words: str, path: str) -> Row:
    """Of a corpus that lies in the small study's folder."""
    return Row(to, effect, words, path, {"corpus": CORPORA[corpus]}, small=True)


def folded(to: Any, path: str) -> Row:
    given = {"protocol": {"fold_unit": "file", "fold_file": "folds.csv", "folds": 2}}
    return Row(to, SMALL_PROTOCOL, _PROTOCOL, path, given, small=True)


def backend(name: str) -> Row:
    steps = ("export_waveforms", "compute_with_fairseq", "store_frames")
    jobs = extracted(name) - of("extract_features", who=name) | of(*steps, who=name)
    words = f"its steps; training of what reads it; {_TABLES}"
    return Row("fairseq", jobs, words, f"representations.{name}.backend")


def training(to: Any) -> Row:
    networks = [name for name in READERS if MODELS[name] != "svm"]
    return Row(to, trained(*networks), f"all training but estimators; {_TABLES}")


KEYS: dict[str, Row] = {
    "study": Row("other", EVERYTHING, "everything, in another folder"),
    "results": reading(
        "csv",
        "elsewhere",
        SMALL_READING | of("fetch_checkpoint", who="made"),
        "everything, in another folder",
        "results",
    ),
    "seed": Row(4, PROTOCOL, _PROTOCOL),
    "corpus(DemoCorpus).root": Row(
        "results/raw2",
        EVERYTHING - FETCHED | of("generate_demo"),
        "everything but weights",
        "corpus.root",
    ),
    **{
        f"corpus(DemoCorpus).{key}": Row(
            to, READING | of("generate_demo"), f"the generated corpus; {_READING}", f"corpus.{key}"
        )
        for key, to in (
            ("sessions", 4),
            ("utterances", 60),
            ("expressiveness", 0.5),
            ("seed", 2),
        )
    },
    "corpus(DemoCorpus).reader": Row(CORPORA["csv"], READING, _READING, "corpus"),
    "corpus(CsvCorpus).reader": reading("csv", CORPORA["emodb"], SMALL_READING, _READING, "corpus"),
    "corpus(EmodbCorpus).reader": reading(
        "emodb", CORPORA["csv"], SMALL_READING, _READING, "corpus"
    ),
    "corpus(IemocapCorpus).reader": reading(
        "iemocap", CORPORA["csv"], SMALL_READING, _READING, "corpus"
    ),
    "corpus(SeveralCorpora).reader": reading(
        "several", CORPORA["csv"], SMALL_READING, _READING, "corpus"
    ),
    **{
        f"corpus({kind}).root": reading(
            name,
            f"copies/{CORPORA[name]['root']}",
            NOTHING,
            "nothing, where the same files lie there",
            "corpus.root",
        )
        for kind, name in (
            ("CsvCorpus", "csv"),
            ("EmodbCorpus", "emodb"),
            ("IemocapCorpus", "iemocap"),
            ("SeveralCorpora", "several"),
        )
    },
    **{
        f"corpus{of_several}(CsvCorpus).{key}": reading(
            corpus, to, effect, words, f"corpus{path}.{key}"
        )
        for of_several, corpus, path in (
            ("", "csv", ""),
            ("(SeveralCorpora).corpora", "several", ".corpora.first"),
        )
        for key, to, effect, words in (
            ("table", "others.csv", SMALL_DECLARED, _DECLARED),
            ("columns", {"speaker": "who"}, SMALL_DECLARED, _DECLARED),
            ("emotions", ["angry", "sad"], NOTHING, "nothing, where all labels are among them"),
        )
    },
    **{
        f"corpus(SeveralCorpora).corpora({kind}).{key}": reading(
            "several", to, SMALL_READING, _READING, f"corpus.corpora.{name}{path}"
        )
        for kind, name in (
            ("CsvCorpus", "first"),
            ("EmodbCorpus", "second"),
            ("IemocapCorpus", "third"),
        )
        for key, path, to in (
            (
                "reader",
                "",
                CORPORA["emodb"] if name == "first" else {**CORPORA["csv"], "table": "others.csv"},
            ),
            (
                "root",
                ".root",
                "elsewhere/" + CORPORA["several"]["corpora"][name]["root"],
            ),
        )
    },
    "shards": Row(2, READING, _READING),
    "audio.minimum_seconds": Row(0.2, READING, _READING),
    "audio.silence_peak": Row(1e-3, READING, _READING),
    "audio.largest_peak": Row(2.0, READING, _READING),
    "labels.classes": Row({"active": ["ang"], "calm": ["neu"]}, LABELS, _LABELS),
    "labels.styles": Row(["improvised"], LABELS, _LABELS),
    "labels.exclude": Row(["Ses01F_impro01_F000"], LABELS, _LABELS),
    "representations(LogMelSettings).window_seconds": representation(
        "logmel", 0.03, "window_seconds"
    ),
    "representations(LogMelSettings).hop_seconds": representation("logmel", 0.02, "hop_seconds"),
    "representations(LogMelSettings).bands": representation("logmel", 40, "bands"),
    "representations(LogMelSettings).kind": representation("logmel", "mfcc", "kind"),
    "representations(MfccSettings).window_seconds": representation("mfcc", 0.03, "window_seconds"),
    "representations(MfccSettings).hop_seconds": representation("mfcc", 0.02, "hop_seconds"),
    "representations(MfccSettings).bands": representation("mfcc", 60, "bands"),
    "representations(MfccSettings).kind": representation("mfcc", "logmel", "kind"),
    "representations(MfccSettings).coefficients": representation("mfcc", 13, "coefficients"),
    "representations(MfccSettings).deltas": representation("mfcc", 2, "deltas"),
    "representations(MfccSettings).cepstral_mean_normalisation": representation(
        "mfcc", True, "cepstral_mean_normalisation"
    ),
    "representations(OpensmileSettings).kind": representation("opensmile", {"kind": "mfcc"}, ""),
    "representations(OpensmileSettings).feature_set": representation(
        "opensmile", "ComParE_2016", "feature_set"
    ),
    "representations(OpensmileSettings).level": representation("opensmile", "frames", "level"),
    "representations(WaveformSettings).kind": representation(
        "waveform", {"kind": OUTSIDE}, "", **{"experiments.waveform.model": "pooled"}
    ),
    "representations(Wav2VecSettings).backend": backend("wav2vec"),
    "representations(VqWav2VecSettings).backend": backend("vq"),
    "representations(Wav2VecSettings).kind": representation("wav2vec", "vq_wav2vec", "kind"),
    "representations(Wav2VecSettings).precision": representation(
        "wav2vec", "bfloat16", "precision"
    ),
    "representations(Wav2VecSettings).stored_type": representation(
        "wav2vec", "float32", "stored_type"
    ),
    "representations(Wav2VecSettings).checkpoint": representation("wav2vec", "my.pt", "checkpoint"),
    "representations(Wav2VecSettings).output": representation("wav2vec", "z", "output"),
    "representations(VqWav2VecSettings).kind": representation("vq", "wav2vec", "kind"),
    "representations(VqWav2VecSettings).precision": representation("vq", "bfloat16", "precision"),
    "representations(VqWav2VecSettings).stored_type": representation(
        "vq", "float32", "stored_type"
    ),
    "representations(VqWav2VecSettings).checkpoint": representation("vq", "my.pt", "checkpoint"),
    "representations(VqWav2VecSettings).output": representation("vq", "c", "output"),
    "representations(CodeRobertaSettings).kind": representation(
        "roberta", {"kind": "vq_wav2vec", "checkpoint": "vq.pt"}, ""
    ),
    "representations(CodeRobertaSettings).checkpoint": representation(
        "roberta", "my.pt", "checkpoint"
    ),
    "representations(CodeRobertaSettings).model": representation("roberta", "my.pt", "model"),
    "representations(TransformersAudioSettings).kind": representation(
        "wav2vec2", {"kind": OUTSIDE}, ""
    ),
    "representations(TransformersAudioSettings).model": representation("wav2vec2", "mine", "model"),
    "representations(TransformersAudioSettings).window_seconds": representation(
        "wav2vec2", 30.0, "window_seconds"
    ),
    "representations(TransformersTextSettings).kind": representation("bert", {"kind": OUTSIDE}, ""),
    "representations(TransformersTextSettings).model": representation("bert", "mine", "model"),
    "representations(TransformersTextSettings).tags": representation("bert", "keep", "tags"),
    "representations(TransformersTextSettings).special_tokens": representation(
        "bert", "keep", "special_tokens"
    ),
    "representations(ExternalSettings).kind": representation("outside", "mfcc", "kind"),
    "representations(ExternalSettings).options": representation(
        "outside", {"scale": 2.0}, "options"
    ),
    **{
        f"representations({kind}).{key}": representation(name, to, key)
        for kind, name in (
            ("CodeRobertaSettings", "roberta"),
            ("TransformersAudioSettings", "wav2vec2"),
            ("TransformersTextSettings", "bert"),
        )
        for key, to in (
            ("precision", "bfloat16"),
            ("stored_type", "float32"),
            ("layer", [0, 1, 2] if name == "wav2vec2" else 1),
        )
    },
    "checkpoints(DownloadedFile).url": Row(
        "https://example.org/v.pt",
        of("fetch_checkpoint", who="file") | extracted("wav2vec"),
        "fetching; extraction of what has these weights, and what follows from it",
        "checkpoints.file.url",
    ),
    "checkpoints(DownloadedFile).sha256": nothing("0" * 64, "checkpoints.file.sha256"),
    "checkpoints(HubModel).hub": Row(
        "other/model",
        of("fetch_checkpoint", who="hub") | extracted("bert"),
        "fetching; extraction of what has these weights, and what follows from it",
        "checkpoints.hub.hub",
    ),
    "checkpoints(HubModel).revision": Row(
        "v1",
        of("fetch_checkpoint", who="hub") | extracted("bert"),
        "fetching; extraction of what has these weights, and what follows from it",
        "checkpoints.hub.revision",
    ),
    "checkpoints(UntrainedModel).untrained": Row(
        "bert",
        of("fetch_checkpoint", who="made") | extracted("wav2vec2"),
        "making; extraction of what has these weights, and what follows from it",
        "checkpoints.made.untrained",
    ),
    "checkpoints(UntrainedModel).seed": Row(
        2,
        of("fetch_checkpoint", who="made") | extracted("wav2vec2"),
        "making; extraction of what has these weights, and what follows from it",
        "checkpoints.made.seed",
    ),
    "protocol.fold_unit": Row(
        "speakers",
        PROTOCOL | of("audit_corpus"),
        f"the audit; {_PROTOCOL}",
        given={"protocol.tested": None, "protocol.folds": 3},
    ),
    "protocol.fold_file": folded("others.csv", "protocol.fold_file"),
    "protocol.leave_out_unmatched": folded(True, "protocol.leave_out_unmatched"),
    "protocol.allow_shared_speakers": folded(True, "protocol.allow_shared_speakers"),
    "protocol.folds": protocol(2, **{"protocol.tested": None, "protocol.folds": 3}),
    "protocol.tested": Row(["Ses02"], PROTOCOL | of("audit_corpus"), f"the audit; {_PROTOCOL}"),
    "protocol.text_disjoint": protocol(True),
    "protocol.development": protocol("random"),
    "protocol.development_share": protocol(0.3, **{"protocol.development": "random"}),
    "protocol.development_speakers": protocol(3, **{"protocol.development": "speakers"}),
    "protocol.repeats": Row(
        4, PROTOCOL, f"folds and their check; training of the new repeats; {_TABLES}"
    ),
    "protocol.seeds_per_order": protocol(2),
    "protocol.shuffle_labels": protocol(True),
    "sizes": Row(
        [8, 12, "all"],
        of("check_protocol")
        | trained(*READERS) - of("test_robustness", who="mfcc") - of("score_robustness"),
        f"the check of folds; training of the new size; {_TABLES}",
    ),
    "models(PooledSettings).kind": model("pooled", "convolutional", "kind"),
    "models(PooledSettings).width": model("pooled", 64, "width"),
    "models(PooledSettings).activation": model("pooled", "none", "activation"),
    "models(PooledSettings).pooling": model("pooled", "attention", "pooling"),
    "models(PooledSettings).dropout": model("pooled", 0.1, "dropout"),
    "models(ConvolutionalSettings).kind": model("convolutional", "pooled", "kind"),
    "models(ConvolutionalSettings).layers": model("convolutional", [[64, 3]], "layers"),
    "models(ConvolutionalSettings).pooling": model("convolutional", "attention", "pooling"),
    "models(ConvolutionalSettings).hidden": model("convolutional", 64, "hidden"),
    "models(ConvolutionalSettings).dropout": model("convolutional", 0.1, "dropout"),
    "models(RecurrentSettings).kind": model("recurrent", "pooled", "kind"),
    "models(RecurrentSettings).cell": model("recurrent", "lstm", "cell"),
    "models(RecurrentSettings).width": model("recurrent", 64, "width"),
    "models(RecurrentSettings).depth": model("recurrent", 2, "depth"),
    "models(RecurrentSettings).pooling": model("recurrent", "mean", "pooling"),
    "models(RecurrentSettings).dropout": model("recurrent", 0.1, "dropout"),
    "models(WaveformModelSettings).kind": model("waveform", "pooled", "kind"),
    "models(WaveformModelSettings).layers": model("waveform", [[16, 80, 20]], "layers"),
    "models(WaveformModelSettings).dropout": model("waveform", 0.1, "dropout"),
    "models(EstimatorSettings).kind": model("svm", "pooled", "kind"),
    "models(EstimatorSettings).method": model("svm", "logistic", "method"),
    "models(EstimatorSettings).strengths": model("svm", [1.0], "strengths"),
    "models(AlignedFusionSettings).kind": model("aligned", "early_fusion", "kind"),
    "models(AlignedFusionSettings).width": model("aligned", 64, "width"),
    "models(AlignedFusionSettings).heads": model("aligned", 4, "heads"),
    "models(AlignedFusionSettings).confined": model("aligned", True, "confined"),
    "models(AlignedFusionSettings).dropout": model("aligned", 0.1, "dropout"),
    "models(EarlyFusionSettings).kind": model("early", "aligned_fusion", "kind"),
    "models(EarlyFusionSettings).width": model("early", 64, "width"),
    "models(EarlyFusionSettings).pooling": model("early", "attention", "pooling"),
    "models(EarlyFusionSettings).hidden": model("early", 64, "hidden"),
    "models(EarlyFusionSettings).dropout": model("early", 0.1, "dropout"),
    "models(LateFusionSettings).kind": model("late", {"kind": "early_fusion"}, ""),
    **{
        f"models(LateFusionSettings).parts({part}).{key}": model(owner, to, f"parts.{place}.{key}")
        for part, owner, place, keys in (
            (
                "PooledSettings",
                "late",
                0,
                {
                    "kind": "convolutional",
                    "width": 64,
                    "activation": "none",
                    "pooling": "attention",
                    "dropout": 0.1,
                },
            ),
            (
                "ConvolutionalSettings",
                "late",
                1,
                {
                    "kind": "pooled",
                    "layers": [[64, 3]],
                    "pooling": "attention",
                    "hidden": 64,
                    "dropout": 0.1,
                },
            ),
            (
                "RecurrentSettings",
                "later",
                1,
                {
                    "kind": "pooled",
                    "cell": "lstm",
                    "width": 64,
                    "depth": 2,
                    "pooling": "mean",
                    "dropout": 0.1,
                },
            ),
        )
        for key, to in keys.items()
    },
    "training.learning_rate": training(0.5),
    "training.weight_decay": training(0.1),
    "training.batch_utterances": training(8),
    "training.maximum_steps": training(100),
    "training.schedule": training("fixed"),
    "training.steps_between_evaluations": training(25),
    "training.patience": training(5),
    "training.class_balance": Row("none", ALL_TRAINED, f"all training; {_TABLES}"),
    "training.labels": Row(
        "votes",
        ALL_TRAINED,
        f"all training; {_TABLES}",
        given={"experiments.opensmile.model": "pooled", "models.svm": {"kind": "pooled"}},
    ),
    "training.label_smoothing": training(0.1),
    "training.augmentation.mixup": training(0.2),
    "training.augmentation.time_mask": training(0.2),
    "training.augmentation.frequency_mask": training(0.2),
    "training.gradient_clip": training(1.0),
    "training.precision": training("bfloat16"),
    "experiments.representations": Row(
        ["mfcc"],
        trained("logmel"),
        f"its training; {_TABLES}",
        "experiments.logmel.representations",
    ),
    "experiments.model": Row(
        "recurrent", trained("logmel"), f"its training; {_TABLES}", "experiments.logmel.model"
    ),
    "experiments.sizes": Row(
        [8], TABLES, f"no training; {_TABLES}, without the others", "experiments.logmel.sizes"
    ),
    "experiments.training": Row(
        {"patience": 3},
        trained("logmel"),
        f"its training; {_TABLES}",
        "experiments.logmel.training",
    ),
    "experiments.search": Row(
        {"training.learning_rate": [1e-3, 1e-4]},
        trained("logmel"),
        f"its training; {_TABLES}",
        "experiments.logmel.search",
    ),
    "robustness.experiments": Row(
        ["mfcc", "vq"],
        ROBUSTNESS
        | of("test_robustness", who="vq")
        | of(*("extract_perturbed", "index_perturbed"), who="white")
        | of(*("extract_perturbed", "index_perturbed"), who="babble")
        | of(*("extract_perturbed", "index_perturbed"), who="room")
        | of(*("extract_perturbed", "index_perturbed"), who="phone"),
        "what the new one hears; its tests on changed audio; report",
    ),
    "robustness.sizes": Row(
        [8],
        ROBUSTNESS | of("test_robustness", who="mfcc"),
        "tests on changed audio of that size; report",
    ),
    **{
        f"robustness.conditions({kind}).{key}": Row(
            to, heard(name), _HEARD, f"robustness.conditions.{path}"
        )
        for kind, name, key, path, to in (
            ("WhiteNoise", "white", "noise", "white.noise", "babble"),
            ("WhiteNoise", "white", "snr_db", "white.snr_db", 5),
            ("Babble", "babble", "noise", "babble.noise", "white"),
            ("Babble", "babble", "snr_db", "babble.snr_db", 5),
            ("Babble", "babble", "talkers", "babble.talkers", 3),
            ("Reverberation", "room", "reverberation_seconds", "room.reverberation_seconds", 1.0),
            ("Band", "phone", "band", "phone", {"noise": "white", "snr_db": 0}),
        )
    },
    "evidence.reference": Row("mfcc", EVIDENCE, "efficiency, forecasts, report"),
    "evidence.wanted_ua": Row([0.9], EVIDENCE, "efficiency, forecasts, report"),
    "evidence.forecast_sizes": Row([500], EVIDENCE, "efficiency, forecasts, report"),
    "execution.device": nothing("cpu"),
    "execution.checkpoint_cache": nothing("another/cache"),
    "execution.offline": nothing(True),
    "execution.seconds_between_checkpoints": nothing(5.0),
    "execution.fairseq_python": nothing("python3.10"),
}


def keys_of(model_class: type[BaseModel] = Study, before: str = "") -> Iterator[str]:
    """Every key of the configuration; of a union, under each of its models: a(Model).key."""
    for name, info in model_class.model_fields.items():
        found = list(dict.fromkeys(_models_in(info.annotation)))
        if not found:
            yield before + name
        for each in found:
            kind = f"({each.__name__})" if len(found) > 1 else ""
            yield from keys_of(each, f"{before}{name}{kind}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)


def changed(study: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the study with another value at a path of keys and positions."""
    other = copy.deepcopy(study)
    place: Any = other
    *parents, last = path.rstrip(".").split(".")
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return other


_PAGE = Path(__file__).with_name("invalidation_page.md")


def page() -> str:
    """The table for people."""
    rows = "\n".join(f"| `{key}` | {row.words} |" for key, row in KEYS.items())
    return _PAGE.read_text().format(rows=rows, count=len(KEYS))


if __name__ == "__main__":
    print(page(), end="")
