"""Table rows: keys of experiments, robustness tests, evidence and execution."""

from __future__ import annotations

from tests.workflow.invalidation.effects import (
    EVIDENCE,
    ROBUSTNESS,
    TABLES,
    condition_jobs,
    jobs_of,
    training_jobs,
)
from tests.workflow.invalidation.row import PERTURBED_TEXT, TABLES_TEXT, Row, no_effect

KEYS: dict[str, Row] = {
    "experiments.representations": Row(
        ["mfcc"],
        training_jobs("logmel"),
        f"training of this experiment; {TABLES_TEXT}",
        "experiments.logmel.representations",
    ),
    "experiments.model": Row(
        "recurrent",
        training_jobs("logmel"),
        f"training of this experiment; {TABLES_TEXT}",
        "experiments.logmel.model",
    ),
    "experiments.sizes": Row(
        [8],
        TABLES,
        f"no training; {TABLES_TEXT}, without the other sizes",
        "experiments.logmel.sizes",
    ),
    "experiments.training": Row(
        {"patience": 3},
        training_jobs("logmel"),
        f"training of this experiment; {TABLES_TEXT}",
        "experiments.logmel.training",
    ),
    "experiments.search": Row(
        {"training.learning_rate": [1e-3, 1e-4]},
        training_jobs("logmel"),
        f"training of this experiment; {TABLES_TEXT}",
        "experiments.logmel.search",
    ),
    "robustness.experiments": Row(
        ["mfcc", "vq"],
        ROBUSTNESS
        | jobs_of("test_robustness", subject="vq")
        | jobs_of(*("extract_perturbed", "index_perturbed"), subject="white")
        | jobs_of(*("extract_perturbed", "index_perturbed"), subject="babble")
        | jobs_of(*("extract_perturbed", "index_perturbed"), subject="room")
        | jobs_of(*("extract_perturbed", "index_perturbed"), subject="phone"),
        "extraction from perturbed audio for the new experiment; its robustness test; report",
    ),
    "robustness.sizes": Row(
        [8],
        ROBUSTNESS | jobs_of("test_robustness", subject="mfcc"),
        "robustness tests at the new size; report",
    ),
    **{
        f"robustness.conditions({kind}).{key}": Row(
            value, condition_jobs(name), PERTURBED_TEXT, f"robustness.conditions.{path}"
        )
        for kind, name, key, path, value in (
            ("WhiteNoise", "white", "noise", "white.noise", "babble"),
            ("WhiteNoise", "white", "snr_db", "white.snr_db", 5),
            ("Babble", "babble", "noise", "babble.noise", "white"),
            ("Babble", "babble", "snr_db", "babble.snr_db", 5),
            ("Babble", "babble", "talkers", "babble.talkers", 3),
            ("Reverberation", "room", "reverberation_seconds", "room.reverberation_seconds", 1.0),
            ("Band", "phone", "band", "phone", {"noise": "white", "snr_db": 0}),
        )
    },
    "evidence.reference": Row(
        "mfcc",
        EVIDENCE | jobs_of("compare_experiments"),
        "comparisons, efficiency, forecasts, report",
    ),
    "evidence.target_ua": Row([0.9], EVIDENCE, "efficiency, forecasts, report"),
    "evidence.forecast_sizes": Row([500], EVIDENCE, "efficiency, forecasts, report"),
    "execution.device": no_effect("cpu"),
    "execution.checkpoint_cache": no_effect("another/cache"),
    "execution.offline": no_effect(True),
    "execution.pretraining_processes": no_effect(2),
    "execution.fairseq_python": no_effect("python3.10"),
}
