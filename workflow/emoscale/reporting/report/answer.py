"""The question of a study and its answer in sentences with numbers."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from markupsafe import Markup

from emoscale.reporting.report.formatting import (
    format_count,
    format_factor,
    format_interval,
    format_p_value,
    format_percent,
    format_size,
    is_number,
    join_names,
    mark_name,
    strong,
)
from emoscale.reporting.report.study import Study


def study_question(study: Study) -> str:
    """Return the question that the study answers.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    str
        The question, for the heading of the page.
    """
    if study.labels_shuffled:
        return f"Negative control on {study.corpus}: is UA at chance when nothing can be learned?"
    if len(study.ranking) == 1:
        return f"How well is emotion recognised in {study.corpus}, and with how few labels?"
    return (
        f"Which representation recognises emotion best in {study.corpus}, with how few labels, "
        "and how certain is this?"
    )


def study_answer(study: Study) -> list[Markup]:
    """Return the answer of the study in two to four paragraphs.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    list of Markup
        The paragraphs.
    """
    if study.labels_shuffled:
        return _negative_control(study)
    scores = _scores_at_largest_size(study)
    best = scores.row(0, named=True)
    return [
        _best_experiment(study, scores, best),
        *_lead(study, scores, best),
        *_labels_saved(study),
    ]


def _scores_at_largest_size(study: Study) -> pl.DataFrame:
    """Return the scores at the largest training size of the study, best first."""
    largest = study.scores.sort("training_utterances_mean").row(-1, named=True)
    same_size = study.scores.filter(pl.col("size") == largest["size"])
    return same_size.sort("ua", descending=True, maintain_order=True)


def _best_experiment(study: Study, scores: pl.DataFrame, best: dict[str, Any]) -> Markup:
    """State the UA of the best experiment with its interval, and chance."""
    size = format_size(best["size"], best["training_utterances_mean"])
    name, ua = mark_name(best["experiment"]), strong(format_percent(best["ua"]))
    chance = format_percent(best["chance_ua"])
    interval = format_interval(best, "ua") or (
        "no confidence interval: fewer than two test speakers"
        if "ua_low" in best
        else f"± {100 * best['ua_repeat_std']:.1f} over repeats, no confidence interval over "
        "speakers"
    )
    sentence = Markup(
        "Trained on {}, {} recognises emotion best: its UA (unweighted accuracy) is {} ({}); "
        "chance is {}."
        if len(scores) > 1
        else "Trained on {}, {} has a UA (unweighted accuracy) of {} ({}); chance is {}."
    ).format(size, name, ua, interval, chance)
    if is_number(best.get("ua_low")) and best["ua_low"] <= best["chance_ua"]:
        sentence += Markup(
            " This interval includes chance, so recognition above chance is not shown."
        )
    others = len(study.ranking) - len(scores)
    if others:
        sentence += Markup(" ({} not trained at this size.)").format(
            format_count(others, "experiment was", "experiments were")
        )
    return sentence


def _lead(study: Study, scores: pl.DataFrame, best: dict[str, Any]) -> list[Markup]:
    """State whether the best experiment is significantly better than the second."""
    if len(scores) == 1:
        return []
    second = scores.row(1, named=True)
    points = 100 * (best["ua"] - second["ua"])
    lead = Markup("leads {} ({}) by {}").format(
        mark_name(second["experiment"]),
        format_percent(second["ua"]),
        strong(f"{points:.1f} points"),
    )
    comparisons = study.rows("comparisons")
    if comparisons is None:
        return [
            Markup("It {}; the significance of this lead was not tested in this study.").format(
                lead
            )
        ]
    pairs = _pairs_of(comparisons, best["experiment"], best["size"])
    pair = next((row for row in pairs if row["rival"] == second["experiment"]), None)
    wins = sum(row["winner"] == best["experiment"] for row in pairs)
    summary = Markup("")
    if len(pairs) > 1:
        summary = Markup(
            " It is significantly better than {} of the {} other experiments (Holm's correction)."
        ).format(wins or "none", len(pairs))
    if pair is None:
        return [Markup("It {}; the two were not compared.").format(lead) + summary]
    details = filter(None, (format_interval(pair, "difference", unit=" points"), _p_holm(pair)))
    detail = ", ".join(details)
    if pair["winner"] == best["experiment"]:
        sentence = Markup("It {}, and this lead is {} after Holm's correction for {} ({}).").format(
            lead, strong("statistically significant"), _number_of_comparisons(study), detail
        )
    else:
        verdict = strong("not statistically significant")
        if _uncorrected_interval_excludes_zero(pair):
            verdict += Markup(" after Holm's correction for all {} of the study").format(
                _number_of_comparisons(study)
            )
        sentence = Markup(
            "It {}, but this lead is {} ({}): neither of the two is declared the winner."
        ).format(lead, verdict, detail)
    return [sentence + summary]


def _uncorrected_interval_excludes_zero(pair: dict[str, Any]) -> bool:
    low, high = pair.get("difference_low"), pair.get("difference_high")
    return low is not None and high is not None and (low > 0 or high < 0)


def _p_holm(pair: dict[str, Any]) -> str:
    return f"{format_p_value(pair['p_holm'])} after Holm" if is_number(pair.get("p_holm")) else ""


def _number_of_comparisons(study: Study) -> str:
    rows = study.rows("comparisons")
    assert rows is not None
    return format_count(len(rows), "comparison")


def _pairs_of(comparisons: pl.DataFrame, experiment: str, size: str) -> list[dict[str, Any]]:
    """Return the comparisons of an experiment at a size, each as experiment minus `rival`."""
    pairs = []
    for row in comparisons.filter(pl.col("size") == size).iter_rows(named=True):
        if row["experiment"] == experiment:
            pairs.append({**row, "rival": row["other"]})
        elif row["other"] == experiment:
            low, high = row["difference_low"], row["difference_high"]
            negated = {
                "difference": -row["difference"],
                "difference_low": -high if is_number(high) else None,
                "difference_high": -low if is_number(low) else None,
            }
            pairs.append({**row, **negated, "rival": row["experiment"]})
    return pairs


def _labels_saved(study: Study) -> list[Markup]:
    """State how many times fewer labels the best learning curve needs than its rival."""
    curves = (
        study.scores.group_by("experiment", maintain_order=True).len().filter(pl.col("len") > 1)
    )
    if curves.is_empty():
        return [
            Markup("{} trained at one size only, so the number of labels saved is unknown.").format(
                "It was" if len(study.ranking) == 1 else "Every experiment was"
            )
        ]
    if len(study.ranking) == 1:
        return [_growth(study)]
    efficiency = study.rows("efficiency")
    if efficiency is None:
        return [
            Markup(
                "How many labels one experiment saves over another was not measured in this study."
            )
        ]
    row = _efficiency_row(study, efficiency)
    return [] if row is None else [labels_saved_sentence(row)]


def _growth(study: Study) -> Markup:
    """State the UA of one experiment at its smallest and at its largest size."""
    smallest, *_, largest = study.scores.sort("training_utterances_mean").iter_rows(named=True)
    return Markup("Its UA is {} with {} and {} with {}.").format(
        format_percent(smallest["ua"]),
        format_size(smallest["size"], smallest["training_utterances_mean"]),
        format_percent(largest["ua"]),
        format_size(largest["size"], largest["training_utterances_mean"]),
    )


def _efficiency_row(study: Study, efficiency: pl.DataFrame) -> dict[str, Any] | None:
    """Return the row of the best experiment with a curve against the reference experiment.

    The row is of the largest size of the reference. If there is no reference, or no experiment
    with a curve is better than it, the row is against the strongest rival; rivals with a curve
    are preferred.
    """
    reference = study.tables["efficiency"].metadata.get("reference")
    ranked = study.ranking["experiment"].to_list()
    rank = {name: index for index, name in enumerate(ranked)}
    sizes = dict(study.scores.group_by("experiment").len().iter_rows())
    last = efficiency.sort("other_labels").group_by("experiment", "other").last()
    pairs = [
        row
        for row in last.iter_rows(named=True)
        if rank.get(row["experiment"], len(ranked)) < rank.get(row["other"], -1)
    ]
    pairs.sort(
        key=lambda row: (
            row["other"] != reference,
            rank[row["experiment"]],
            sizes[row["other"]] == 1,
            rank[row["other"]],
        )
    )
    return next(iter(pairs), None)


def labels_saved_sentence(row: dict[str, Any]) -> Markup:
    """Return a row of the table of efficiency as a sentence.

    Parameters
    ----------
    row : dict
        The row.

    Returns
    -------
    Markup
        The sentence.
    """
    experiment, other = mark_name(row["experiment"]), mark_name(row["other"])
    target = Markup("the UA that {} reaches with {} labels ({})").format(
        other, f"{row['other_labels']:,.0f}", format_percent(row["ua"])
    )
    factor = row["factor"]
    if row["bound"] == "not reached" or not is_number(factor):
        return Markup("{} does not reach {} within the measured sizes.").format(experiment, target)
    interval = _factor_interval(row)
    if row["bound"] == "at least":
        return Markup("{} exceeds {} already with its smallest training set: {} labels{}.").format(
            experiment, target, strong(f"at least {format_factor(factor)} times fewer"), interval
        )
    if row["bound"] == "at most":
        amount = (
            "at least as many"
            if factor > 0.95
            else f"at least {format_factor(1 / factor)} times more"
        )
        return Markup("For {}, {} needs more labels than were measured: {}{}.").format(
            target, experiment, strong(amount), interval
        )
    if 0.95 < factor < 1.05:
        amount = "about as many"
    elif factor >= 1:
        amount = f"{format_factor(factor)} times fewer"
    else:
        amount = f"{format_factor(1 / factor)} times more"
    labels = f"{row['labels']:,.0f}" if is_number(row["labels"]) else "an unknown number of"
    sentence = Markup("For {}, {} needs {} labels: {}{}.").format(
        target, experiment, labels, strong(amount), interval
    )
    low, high = row.get("factor_low"), row.get("factor_high")
    if interval and low is not None and high is not None and low <= 1 <= high:
        sentence += Markup(
            " This interval includes 1, so the saving is not statistically significant."
        )
    return sentence


def _factor_interval(row: dict[str, Any]) -> str:
    """Return the interval of a factor; either end may be unbounded."""
    low, high = row.get("factor_low"), row.get("factor_high")
    if not is_number(low) or not is_number(high) or low is None or high is None:
        return ""
    label = "95\u00a0% confidence interval"
    if low <= 0 and math.isinf(high):
        return f" ({label}: unbounded at both ends)"
    if math.isinf(high):
        return f" ({label}: a factor of {format_factor(low)} or more)"
    if low <= 0:
        return f" ({label}: a factor of {format_factor(high)} or less)"
    return f" ({label}: a factor of {format_factor(low)} to {format_factor(high)})"


def _negative_control(study: Study) -> list[Markup]:
    """State whether a study with permuted labels is at chance, as it should be."""
    scores = study.scores
    chance = float(scores["chance_ua"][0])
    farthest = (
        scores.with_columns(distance=(pl.col("ua") - chance).abs())
        .sort("distance")
        .row(-1, named=True)
    )
    expectation = Markup(
        "The training and development labels are permuted, so nothing can be learned and every UA "
        "(unweighted accuracy) should be at chance, {}."
    ).format(strong(format_percent(chance)))
    extreme = Markup("The farthest from chance is {} with {}: UA {}").format(
        mark_name(farthest["experiment"]),
        format_size(farthest["size"], farthest["training_utterances_mean"]),
        format_percent(farthest["ua"]),
    )
    if "ua_low" not in scores.columns or scores["ua_low"].fill_nan(None).null_count() == len(
        scores
    ):
        return [
            expectation,
            extreme + Markup("; without confidence intervals, its significance is unknown."),
        ]
    with_interval = scores.filter(pl.col("ua_low").fill_nan(None).is_not_null())
    excluding = with_interval.filter((pl.col("ua_low") > chance) | (pl.col("ua_high") < chance))
    if excluding.is_empty():
        verdict = Markup(
            "The scores are {}: the 95 % confidence interval of each of the {} includes chance."
        ).format(strong("at chance"), format_count(len(with_interval), "score"))
    else:
        names = excluding["experiment"].unique(maintain_order=True).to_list()
        verdict = Markup(
            "{} of {} have a 95 % confidence interval that excludes chance ({}); about one in "
            "twenty is expected to."
        ).format(
            strong(str(len(excluding))),
            format_count(len(with_interval), "score"),
            join_names(names),
        )
    return [expectation, verdict, extreme + Markup(".")]
