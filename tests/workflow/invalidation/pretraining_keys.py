"""Table rows: keys of checkpoints that the study pre-trains."""

from __future__ import annotations

from typing import Any

from tests.workflow.invalidation.effects import (
    NOTHING,
    comparison_jobs,
    jobs_of,
    pretraining_jobs,
    speech_jobs,
)
from tests.workflow.invalidation.row import Row, pretraining
from tests.workflow.invalidation.studies import CORPORA, PRETRAINED

_LATER = "extraction with this checkpoint and those that continue from it, and all later steps"
_TRAINING_TEXT = f"pre-training; {_LATER}"
_SPEECH_TEXT = f"reading of the speech, comparison with the corpus, pre-training; {_LATER}"
_GENERATED_TEXT = f"generation of the speech; {_SPEECH_TEXT}"
_KIND_TEXT = f"pre-training or fetching; {_LATER}"

_OF_GENERATED = pretraining_jobs("generated", "continued")
_SPEECH_OF_GENERATED = speech_jobs("generated", "continued")


def _of_wav2vec2(value: Any, key: str) -> Row:
    return pretraining("masked", value, key, pretraining_jobs("masked"), _TRAINING_TEXT)


def _fetched(name: str, settings: dict[str, str]) -> Row:
    effect = pretraining_jobs(name) - jobs_of("pretrain", subject=name)
    return pretraining(
        name, settings, "", effect | jobs_of("fetch_checkpoint", subject=name), _KIND_TEXT
    )


KEYS: dict[str, Row] = {
    "checkpoints(Wav2VecPretraining).pretrain": _fetched(
        "continued", {"url": "https://example.org/w.pt"}
    ),
    "checkpoints(Wav2Vec2Pretraining).pretrain": _fetched("masked", {"hub": "some/model"}),
    **{
        f"checkpoints({kind}).{key}": pretraining(name, value, key, effect, _TRAINING_TEXT)
        for kind, name, effect in (
            ("Wav2VecPretraining", "generated", _OF_GENERATED),
            ("Wav2Vec2Pretraining", "masked", pretraining_jobs("masked")),
        )
        for key, value in (
            ("steps", 2000),
            ("batch_seconds", 48.0),
            ("micro_batch_seconds", 12.0),
            ("crop_seconds", 4.0),
            ("learning_rate", 1e-4),
            ("warmup_steps", 100),
            ("weight_decay", 0.01),
            ("gradient_clip", 10.0),
            ("precision", "bfloat16"),
        )
    },
    **{
        f"checkpoints({kind}).{key}": pretraining(name, value, key, effect, _SPEECH_TEXT)
        for kind, name, effect in (
            ("Wav2VecPretraining", "generated", _SPEECH_OF_GENERATED),
            ("Wav2Vec2Pretraining", "masked", speech_jobs("masked")),
        )
        for key, value in (("held_out", 0.2), ("seed", 2))
    },
    "checkpoints(Wav2VecPretraining).continue_from": pretraining(
        "continued",
        None,
        "continue_from",
        pretraining_jobs("continued") | comparison_jobs("continued"),
        f"comparison of the speech with the corpus, {_TRAINING_TEXT}",
    ),
    "checkpoints(Wav2Vec2Pretraining).continue_from": _of_wav2vec2("mine", "continue_from"),
    "checkpoints(Wav2Vec2Pretraining).architecture": _of_wav2vec2("base", "architecture"),
    **{
        f"checkpoints(Wav2VecPretraining).architecture.{key}": pretraining(
            "generated", value, f"architecture.{key}", _OF_GENERATED, _TRAINING_TEXT
        )
        for key, value in (
            ("conv_feature_layers", [[64, 10, 5], [64, 8, 4]]),
            ("conv_aggregator_layers", [[64, 3, 1]]),
            ("activation", "gelu"),
            ("log_compression", False),
            ("skip_connections_feat", True),
            ("skip_connections_agg", False),
            ("residual_scale", 0.25),
            ("no_conv_bias", True),
            ("agg_zero_pad", True),
            ("non_affine_group_norm", True),
            ("prediction_steps", 8),
            ("offset", 2),
            ("num_negatives", 5),
            ("cross_sample_negatives", 5),
            ("sample_distance", 50),
            ("infonce", True),
            ("balanced_classes", True),
        )
    },
    "checkpoints(Wav2VecPretraining).speech(FolderSpeech).reader": pretraining(
        "continued", CORPORA["emodb"], "speech", speech_jobs("continued"), _SPEECH_TEXT
    ),
    "checkpoints(Wav2VecPretraining).speech(FolderSpeech).root": pretraining(
        "continued",
        "copies/recordings",
        "speech.root",
        NOTHING,
        "nothing, if the files are the same",
    ),
    "checkpoints(Wav2VecPretraining).speech(FolderSpeech).speaker_pattern": pretraining(
        "continued",
        r"^(\d)",
        "speech.speaker_pattern",
        speech_jobs("continued"),
        _SPEECH_TEXT,
    ),
    "checkpoints(Wav2VecPretraining).speech(DemoSpeech).reader": pretraining(
        "generated",
        PRETRAINED["continued"]["speech"],
        "speech",
        _SPEECH_OF_GENERATED,
        _SPEECH_TEXT,
    ),
    **{
        f"checkpoints(Wav2VecPretraining).speech(DemoSpeech).{key}": pretraining(
            "generated",
            value,
            f"speech.{key}",
            _SPEECH_OF_GENERATED | jobs_of("generate_speech"),
            _GENERATED_TEXT,
        )
        for key, value in (
            ("root", "results/speech2"),
            ("speakers", 20),
            ("utterances_per_speaker", 50),
            ("seed", 2),
        )
    },
    **{
        f"checkpoints(Wav2VecPretraining).speech({kind})": pretraining(
            "continued", CORPORA[name], "speech", speech_jobs("continued"), _SPEECH_TEXT
        )
        for kind, name in (
            ("CsvCorpus", "csv"),
            ("AudformatCorpus", "audformat"),
            ("ReleaseCorpus", "emodb"),
            ("SeveralCorpora", "several"),
        )
    },
    "checkpoints(Wav2Vec2Pretraining).speech": pretraining(
        "masked", CORPORA["iemocap"], "speech", speech_jobs("masked"), _SPEECH_TEXT
    ),
}
