"""The model card of a pre-trained checkpoint, and its description in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emoscale.config.pretraining import DemoSpeech, PretrainingSettings
from emoscale.pretraining.trainer import Measurement
from emoscale.runtime.provenance import canonical_json

_SPEECH = {
    "recordings": "recordings",
    "hours": "hours",
    "held_out_hours": "of these held out, hours",
    "speakers": "speakers",
    "digest": "digest of the recordings",
}


def weights_description(settings: Any, speech: Mapping[str, Any] | None) -> str:
    """Return the description of pre-trained weights in tables.

    Parameters
    ----------
    settings : PretrainingSettings
        Settings of the checkpoint.
    speech : mapping or None
        Summary of the unlabelled speech (`speech_summary`); None without training.

    Returns
    -------
    str
        Such as ``wav2vec pre-trained on 3.1 hours of speech, 20,000 steps``.
    """
    initial = None if settings.continue_from is None else Path(settings.continue_from).name
    if speech is None or not settings.steps:
        if initial is None:
            return f"untrained: random weights of seed {settings.seed}"
        return f"copy of {initial}"
    kind = "synthetic speech" if isinstance(settings.speech, DemoSpeech) else "speech"
    continued = "" if initial is None else f", from {initial}"
    hours = speech["hours"] - speech["held_out_hours"]
    amount = f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
    steps = f"{settings.steps:,} steps"
    return f"{settings.pretrain} pre-trained on {amount} of {kind}, {steps}{continued}"


def model_card(
    name: str,
    settings: PretrainingSettings,
    speech: Mapping[str, Any] | None,
    measurements: Sequence[Measurement],
    versions: Mapping[str, str],
) -> str:
    """Return the model card of a checkpoint.

    Parameters
    ----------
    name : str
        Its name under `checkpoints`.
    settings : PretrainingSettings
        Its settings.
    speech : mapping or None
        Summary of the unlabelled speech (`speech_summary`); None without training.
    measurements : sequence of Measurement
        Measurements of the training.
    versions : mapping of str to str
        Versions of the packages, by name.

    Returns
    -------
    str
        Markdown text.
    """
    lines = [f"# {name}", "", f"{weights_description(settings, speech)}.", ""]
    if speech is not None:
        values = {
            label: f"{speech[key]:.2f}" if "hours" in key else speech[key]
            for key, label in _SPEECH.items()
        }
        if values["speakers"] is None:
            values["speakers"] = "not known"
        lines += _section("Speech", values)
    if measurements:
        last = measurements[-1]
        lines += _section(
            "Training",
            {
                "steps": f"{last.step:,}",
                "speech that was trained on, with repetitions": f"{last.hours:.2f} hours",
                "loss, held-out loss": f"{last.loss:.4f}, {last.held_out_loss:.4f}",
                "true frame ranks first, on held-out speech": (
                    f"{last.ranks_first:.2%}, {last.held_out_ranks_first:.2%} "
                    f"(by chance {last.chance:.2%})"
                ),
            },
        )
    stated = settings.model_dump(mode="json", exclude={"speech": {"root"}})
    lines += ["## Settings", "", "```json", canonical_json(stated), "```", ""]
    return "\n".join(lines + _section("Versions", versions))


def _section(heading: str, values: Mapping[str, Any]) -> list[str]:
    return [f"## {heading}", "", *(f"- {key}: {value}" for key, value in values.items()), ""]
