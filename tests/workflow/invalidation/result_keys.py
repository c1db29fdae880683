"""Keys of experiments, of what is made of them, and of where it runs."""

from __future__ import annotations

from tests.workflow.invalidation.effects import EVIDENCE, ROBUSTNESS, TABLES, heard, of, trained
from tests.workflow.invalidation.row import HEARD_WORDS, TABLES_WORDS, Row, nothing

KEYS: dict[str, Row] = {
    "experiments.representations": Row(
        ["mfcc"],
        trained("logmel"),
        f"its training; {TABLES_WORDS}",
        "experiments.logmel.representations",
    ),
    "experiments.model": Row(
        "recurrent", trained("logmel"), f"its training; {TABLES_WORDS}", "experiments.logmel.model"
    ),
    "experiments.sizes": Row(
        [8], TABLES, f"no training; {TABLES_WORDS}, without the others", "experiments.logmel.sizes"
    ),
    "experiments.training": Row(
        {"patience": 3},
        trained("logmel"),
        f"its training; {TABLES_WORDS}",
        "experiments.logmel.training",
    ),
    "experiments.search": Row(
        {"training.learning_rate": [1e-3, 1e-4]},
        trained("logmel"),
        f"its training; {TABLES_WORDS}",
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
            to, heard(name), HEARD_WORDS, f"robustness.conditions.{path}"
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
    "evidence.target_ua": Row([0.9], EVIDENCE, "efficiency, forecasts, report"),
    "evidence.forecast_sizes": Row([500], EVIDENCE, "efficiency, forecasts, report"),
    "execution.device": nothing("cpu"),
    "execution.checkpoint_cache": nothing("another/cache"),
    "execution.offline": nothing(True),
    "execution.fairseq_python": nothing("python3.10"),
}
