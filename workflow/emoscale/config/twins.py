"""Experiments on pre-trained networks, and those on the same networks untrained: the control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emoscale.config.settings import reference_parts
from emoscale.runtime.provenance import canonical_json

if TYPE_CHECKING:
    from emoscale.config.study import Study


def untrained_twins(study: Study) -> dict[str, str]:
    """Return the experiments on pre-trained networks whose twin has the same network untrained.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    dict
        Name of the twin by experiment. The two differ in the pre-training only, and the network of
        the twin has random weights.
    """
    described = {name: _without_pretraining(study, name) for name in study.experiments}
    untrained = {
        canonical_json(description): name
        for name, (description, are_random) in described.items()
        if are_random == [True]
    }
    return {
        name: untrained[canonical_json(description)]
        for name, (description, are_random) in described.items()
        if are_random and not any(are_random) and canonical_json(description) in untrained
    }


def _without_pretraining(study: Study, experiment: str) -> tuple[list[Any], list[bool]]:
    """Return an experiment's settings, and whether its networks have random weights."""
    settings = study.experiments[experiment]
    training = study.training_of(experiment).model_dump()
    described: list[Any] = [settings.model, training, settings.search]
    are_random: list[bool] = []
    for reference in settings.representations:
        name, layer = reference_parts(reference)
        values = study.representations[name].model_dump(mode="json")
        for key in getattr(study.representations[name], "checkpoint_keys", ()):
            pretraining = study.pretraining_of(values[key])
            if pretraining is not None:
                are_random.append(not pretraining.steps and pretraining.continue_from is None)
                values[key] = pretraining.network()
        described.append([values, layer])
    return described, are_random
