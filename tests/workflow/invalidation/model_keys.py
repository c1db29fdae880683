"""Table rows: keys of the protocol, models and training."""

from __future__ import annotations

from tests.workflow.invalidation.effects import (
    ALL_TRAINING,
    PROTOCOL,
    SPEAKER_STATISTICS,
    jobs_of,
    training_jobs,
)
from tests.workflow.invalidation.row import (
    PROTOCOL_TEXT,
    TABLES_TEXT,
    Row,
    fold_file,
    model,
    protocol,
    training,
)
from tests.workflow.invalidation.studies import REPRESENTATIONS

KEYS: dict[str, Row] = {
    "protocol.fold_unit": Row(
        "speakers",
        PROTOCOL | jobs_of("audit_corpus"),
        f"the audit; {PROTOCOL_TEXT}",
        base={"protocol.test_units": None, "protocol.folds": 3},
    ),
    "protocol.fold_file": fold_file("others.csv", "protocol.fold_file"),
    "protocol.ignore_unmatched": fold_file(True, "protocol.ignore_unmatched"),
    "protocol.allow_shared_speakers": fold_file(True, "protocol.allow_shared_speakers"),
    "protocol.folds": protocol(2, **{"protocol.test_units": None, "protocol.folds": 3}),
    "protocol.test_units": Row(
        ["Ses02"], PROTOCOL | jobs_of("audit_corpus"), f"the audit; {PROTOCOL_TEXT}"
    ),
    "protocol.text_disjoint": protocol(True),
    "protocol.development": protocol("random"),
    "protocol.development_fraction": protocol(0.3, **{"protocol.development": "random"}),
    "protocol.development_speakers": protocol(3, **{"protocol.development": "speakers"}),
    "protocol.repeats": Row(
        4, PROTOCOL, f"folds, protocol check; training of the new repeats; {TABLES_TEXT}"
    ),
    "protocol.seeds_per_order": protocol(2),
    "protocol.shuffle_labels": protocol(True),
    "sizes": Row(
        [8, 12, "all"],
        jobs_of("check_protocol")
        | training_jobs(*REPRESENTATIONS)
        - jobs_of("test_robustness", subject="mfcc")
        - jobs_of("score_robustness"),
        f"protocol check; training of the new size; {TABLES_TEXT}",
    ),
    "models(PooledSettings).kind": model("pooled", "convolutional", "kind"),
    "models(PooledSettings).projection_size": model("pooled", 64, "projection_size"),
    "models(PooledSettings).activation": model("pooled", "none", "activation"),
    "models(PooledSettings).pooling": model("pooled", "attention", "pooling"),
    "models(PooledSettings).dropout": model("pooled", 0.1, "dropout"),
    "models(ConvolutionalSettings).kind": model("convolutional", "pooled", "kind"),
    "models(ConvolutionalSettings).layers": model("convolutional", [[64, 3]], "layers"),
    "models(ConvolutionalSettings).pooling": model("convolutional", "attention", "pooling"),
    "models(ConvolutionalSettings).hidden_size": model("convolutional", 64, "hidden_size"),
    "models(ConvolutionalSettings).dropout": model("convolutional", 0.1, "dropout"),
    "models(RecurrentSettings).kind": model("recurrent", "pooled", "kind"),
    "models(RecurrentSettings).rnn_type": model("recurrent", "lstm", "rnn_type"),
    "models(RecurrentSettings).hidden_size": model("recurrent", 64, "hidden_size"),
    "models(RecurrentSettings).num_layers": model("recurrent", 2, "num_layers"),
    "models(RecurrentSettings).pooling": model("recurrent", "mean", "pooling"),
    "models(RecurrentSettings).dropout": model("recurrent", 0.1, "dropout"),
    "models(WaveformModelSettings).kind": model("waveform", "pooled", "kind"),
    "models(WaveformModelSettings).layers": model("waveform", [[16, 80, 20]], "layers"),
    "models(WaveformModelSettings).dropout": model("waveform", 0.1, "dropout"),
    "models(EstimatorSettings).kind": model("svm", "pooled", "kind"),
    "models(EstimatorSettings).method": model("svm", "logistic", "method"),
    "models(EstimatorSettings).C": model("svm", [1.0], "C"),
    "models(AlignedFusionSettings).kind": model("aligned", "early_fusion", "kind"),
    "models(AlignedFusionSettings).hidden_size": model("aligned", 64, "hidden_size"),
    "models(AlignedFusionSettings).num_heads": model("aligned", 4, "num_heads"),
    "models(AlignedFusionSettings).within_word": model("aligned", True, "within_word"),
    "models(AlignedFusionSettings).dropout": model("aligned", 0.1, "dropout"),
    "models(EarlyFusionSettings).kind": model("early", "aligned_fusion", "kind"),
    "models(EarlyFusionSettings).projection_size": model("early", 64, "projection_size"),
    "models(EarlyFusionSettings).pooling": model("early", "attention", "pooling"),
    "models(EarlyFusionSettings).hidden_size": model("early", 64, "hidden_size"),
    "models(EarlyFusionSettings).dropout": model("early", 0.1, "dropout"),
    "models(LateFusionSettings).kind": model("late", {"kind": "early_fusion"}, ""),
    **{
        f"models(LateFusionSettings).branches({branch}).{key}": model(
            model_name, value, f"branches.{index}.{key}"
        )
        for branch, model_name, index, keys in (
            (
                "PooledSettings",
                "late",
                0,
                {
                    "kind": "convolutional",
                    "projection_size": 64,
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
                    "hidden_size": 64,
                    "dropout": 0.1,
                },
            ),
            (
                "RecurrentSettings",
                "later",
                1,
                {
                    "kind": "pooled",
                    "rnn_type": "lstm",
                    "hidden_size": 64,
                    "num_layers": 2,
                    "pooling": "mean",
                    "dropout": 0.1,
                },
            ),
        )
        for key, value in keys.items()
    },
    "training.learning_rate": training(0.5),
    "training.weight_decay": training(0.1),
    "training.batch_size": training(8),
    "training.maximum_steps": training(100),
    "training.early_stopping": training(False),
    "training.steps_between_evaluations": training(25),
    "training.patience": training(5),
    "training.normalisation": Row(
        "speaker",
        SPEAKER_STATISTICS | ALL_TRAINING,
        f"statistics of the speakers; all training; {TABLES_TEXT}",
    ),
    "training.feature_clip": Row(5.0, ALL_TRAINING, f"all training; {TABLES_TEXT}"),
    "training.class_balance": Row("none", ALL_TRAINING, f"all training; {TABLES_TEXT}"),
    "training.targets": Row(
        "votes",
        ALL_TRAINING,
        f"all training; {TABLES_TEXT}",
        base={"experiments.opensmile.model": "pooled", "models.svm": {"kind": "pooled"}},
    ),
    "training.label_smoothing": training(0.1),
    "training.augmentation.mixup": training(0.2),
    "training.augmentation.time_mask": training(0.2),
    "training.augmentation.frequency_mask": training(0.2),
    "training.gradient_clip": training(1.0),
    "training.precision": training("bfloat16"),
}
