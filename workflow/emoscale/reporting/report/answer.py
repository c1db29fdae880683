"""The question of a study and its answer in sentences with numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from emoscale.evaluation.ceiling import LABEL, OTHER_RATERS, human_ceiling
from emoscale.evaluation.comparisons import POWER_DIFFERENCES, family_power
from emoscale.reporting.report.formatting import (
    format_count,
    format_factor,
    format_interval,
    format_p_value,
    format_percent,
    format_probability,
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
    """Return the answer of the study in two to five paragraphs.

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
    best = study.ranking.row(0, named=True)
    return [
        _best_experiment(study, best),
        *_corpus_pairs(study, best),
        *_lead(study, best),
        *_power(study),
        *_human_ceiling(study, best),
        *_labels_saved(study),
        *_pretraining(study),
    ]


def _best_experiment(study: Study, best: dict[str, Any]) -> Markup:
    """State the UA of the best experiment with its interval, and chance."""
    size = format_size(best["size"], best["training_utterances_mean"])
    name = mark_name(best["experiment"])
    curve = study.scores.filter(experiment=best["experiment"])
    chance = format_percent(best["chance_ua"])
    interval = format_interval(best, "ua") or (
        "no confidence interval: fewer than two test speakers"
        if "ua_low" in best
        else f"± {100 * best['ua_repeat_std']:.1f} over repeats, no confidence interval over "
        "speakers"
    )
    ua = Markup("{} ({})").format(strong(format_percent(best["ua"])), interval)
    if len(study.ranking) == 1:
        sentence = Markup("Trained on {}, {} has a UA (unweighted accuracy) of {}; chance is {}.")
        sentence = sentence.format(size, name, ua, chance)
    elif len(curve) == 1:
        sentence = Markup(
            "Trained on {}, {} recognises emotion best: its UA (unweighted accuracy) is {}; chance "
            "is {}."
        ).format(size, name, ua, chance)
    else:
        sentence = Markup(
            "Over the whole learning curve, {} recognises emotion best: its UA (unweighted "
            "accuracy) averages {} over {} training sizes, and trained on {} it is {}; chance is "
            "{}."
        ).format(
            name,
            strong(format_percent(float(np.mean(curve["ua"].to_list())))),
            len(curve),
            size,
            ua,
            chance,
        )
    if is_number(best.get("ua_low")) and best["ua_low"] <= best["chance_ua"]:
        sentence += Markup(
            " This interval includes chance, so recognition above chance is not shown."
        )
    return sentence


def _corpus_pairs(study: Study, best: dict[str, Any]) -> list[Markup]:
    """State the UA within corpora and across corpora, which the scores pool."""
    pairs = study.rows("corpus_pairs")
    if pairs is None:
        return []
    largest = study.ranking.select("experiment", "size")
    kind = pl.when(pl.col("training_corpus") == pl.col("test_corpus")).then(pl.lit("within"))
    means = (
        largest.join(pairs, on=["experiment", "size"], maintain_order="left")
        .group_by("experiment", kind.otherwise(pl.lit("across")).alias("kind"), maintain_order=True)
        .agg(pl.col("ua").mean())
        .pivot("kind", index="experiment", values="ua")
    )
    of_best = means.row(by_predicate=pl.col("experiment") == best["experiment"], named=True)
    sentence = Markup(
        "These scores pool all pairs of a training and a test corpus. At its largest training "
        "size, {} has a mean UA of {} within a corpus and of {} across corpora."
    ).format(
        mark_name(best["experiment"]),
        strong(format_percent(of_best["within"])),
        strong(format_percent(of_best["across"])),
    )
    across = means.sort("across", descending=True, maintain_order=True).row(0, named=True)
    if across["experiment"] != best["experiment"]:
        sentence += Markup(" Across corpora, the highest mean is that of {}: {}.").format(
            mark_name(across["experiment"]), format_percent(across["across"])
        )
    return [sentence]


def _lead(study: Study, best: dict[str, Any]) -> list[Markup]:
    """State whether the best experiment is significantly better than its rival.

    The rival is the declared reference, else the second-best experiment.
    """
    if len(study.ranking) == 1:
        return []
    comparisons = study.rows("comparisons")
    if comparisons is None:
        second = study.ranking.row(1, named=True)
        return [
            Markup(
                "The second is {} ({}, trained on {}); the significance of this lead was not "
                "tested in this study."
            ).format(
                mark_name(second["experiment"]),
                format_percent(second["ua"]),
                format_size(second["size"], second["training_utterances_mean"]),
            )
        ]
    pairs = _pairs_of(comparisons, best["experiment"])
    missing = len(study.ranking) - 1 - len(pairs)
    summary = _wins(comparisons, pairs, best["experiment"])
    if missing:
        summary += Markup(" ({} no training size in common with it.)").format(
            format_count(missing, "experiment has", "experiments have")
        )
    reference = study.tables["comparisons"].metadata.get("reference")
    order = [reference, *study.ranking["experiment"]]
    rivals = {pair["rival"]: pair for pair in pairs}
    pair = next((rivals[name] for name in order if name in rivals), None)
    if pair is None:
        return [summary] if summary else []
    sizes = pair["sizes"].split()
    over = (
        f"On average over the {len(sizes)} training sizes that both have"
        if len(sizes) > 1
        else "With the same training size"
    )
    points = 100 * pair["difference"]
    lead = Markup("{}, it {} {}{} ({}) by {}").format(
        over,
        "leads" if points >= 0 else "trails",
        "the reference " if pair["rival"] == reference else "",
        mark_name(pair["rival"]),
        format_percent(pair["rival_ua"]),
        strong(f"{abs(points):.1f} points"),
    )
    interval = format_interval(pair, "difference", unit=" points")
    if pair["winner"] is None:  # only the pairs with the reference are tested
        sentence = Markup("{} ({}); only the pairs with the reference {} are tested.").format(
            lead, interval, mark_name(str(reference))
        )
        return [sentence + summary]
    p_value = f"{format_p_value(pair['p_holm'])} after Holm" if is_number(pair["p_holm"]) else ""
    detail = ", ".join(filter(None, (interval, p_value)))
    family = _family(pair, reference)
    if pair["winner"] == best["experiment"]:
        sentence = Markup("{}, and this lead is {} after Holm's correction for {} ({}).").format(
            lead, strong("statistically significant"), family, detail
        )
    else:
        sentence = Markup(
            "{}, but this difference is {} after Holm's correction for {} ({}): neither of the two "
            "is declared the winner."
        ).format(lead, strong("not statistically significant"), family, detail)
    return [sentence + summary]


def _wins(comparisons: pl.DataFrame, pairs: list[dict[str, Any]], best: str) -> Markup:
    tested = [pair for pair in pairs if pair["winner"] is not None]
    if len(tested) < 2:
        return Markup("")
    wins = sum(pair["winner"] == best for pair in tested)
    winners = comparisons["winner"].drop_nulls()
    return Markup(
        " It is significantly better than {} of the {} others that it is tested against; in all, "
        "{} of the {} tested pairs have a winner."
    ).format(wins or "none", len(tested), int((winners != "none").sum()) or "none", len(winners))


def _family(pair: dict[str, Any], reference: str | None) -> str:
    pairs = format_count(pair["family"], "pair")
    return f"the {pairs} with the reference" if reference else f"all {pairs} of the study"


def _power(study: Study) -> list[Markup]:
    """State how large a difference this study could have seen."""
    comparisons = study.rows("comparisons")
    powers = [] if comparisons is None else family_power(comparisons)
    if comparisons is None or not powers:
        return []
    family = comparisons["family"].drop_nulls()[0]
    *first, last = (
        f"{100 * difference:.0f} points with a probability of {format_probability(value)}"
        for difference, value in zip(POWER_DIFFERENCES, powers, strict=True)
    )
    return [
        Markup(
            "How large a difference could this study have seen? With its {} and {} corrected "
            "together, a typical comparison finds a true difference of {} and {}."
        ).format(
            format_count(int(comparisons["speakers"][0]), "test speaker"),
            format_count(family, "pair"),
            ", ".join(first),
            last,
        )
    ]


def _pairs_of(comparisons: pl.DataFrame, experiment: str) -> list[dict[str, Any]]:
    """Return the comparisons of an experiment, each as experiment minus `rival`."""
    pairs = []
    mine = comparisons.filter(
        (pl.col("experiment") == experiment) | (pl.col("other") == experiment)
    )
    for row in mine.iter_rows(named=True):
        if row["experiment"] == experiment:
            pairs.append({**row, "rival": row["other"], "rival_ua": row["other_ua"]})
        else:
            low, high = row["difference_low"], row["difference_high"]
            negated = {
                "difference": -row["difference"],
                "difference_low": -high if is_number(high) else None,
                "difference_high": -low if is_number(low) else None,
            }
            rival = {"rival": row["experiment"], "rival_ua": row["ua"]}
            pairs.append({**row, **negated, **rival})
    return pairs


def _human_ceiling(study: Study, best: dict[str, Any]) -> list[Markup]:
    """State how the best experiment compares with one more rater, where the corpus has votes."""
    ceiling = study.rows("ceiling")
    rater = None if ceiling is None else human_ceiling(ceiling)
    row = None if ceiling is None else human_ceiling(ceiling, best["experiment"])
    if rater is None or row is None:
        return []
    target = {
        OTHER_RATERS: "the plurality of the other raters",
        LABEL: "the labels, which are the acted emotions",
    }[rater["target"]]
    points = 100 * row["difference"]
    sentence = Markup(
        "{}One more rater, compared with {}, has a UA of {} ({}). On the same utterances and "
        "votes, {} is {} it ({})"
    ).format(
        "The votes are generated. " if study.synthetic else "",
        target,
        strong(format_percent(rater["ua"])),
        format_interval(rater, "ua") or "no confidence interval",
        mark_name(best["experiment"]),
        strong(f"{abs(points):.1f} points {'above' if points >= 0 else 'below'}"),
        format_interval(row, "difference", unit=" points") or "no confidence interval",
    )
    low, high = row["difference_low"], row["difference_high"]
    if is_number(low) and is_number(high) and low <= 0 <= high:
        return [sentence + Markup(": this interval includes 0, so a difference is not shown.")]
    return [sentence + Markup(".")]


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


def _pretraining(study: Study) -> list[Markup]:
    """State what pre-training without labels saved: each network against its untrained twin."""
    comparisons = study.rows("comparisons")
    paragraphs: list[Markup] = []
    for experiment, twin in study.settings.get("untrained_twins", {}).items():
        pairs = [] if comparisons is None else _pairs_of(comparisons, experiment)
        pair = next((pair for pair in pairs if pair["rival"] == twin), None)
        if pair is None:
            continue
        points = 100 * pair["difference"]
        low, high = pair["difference_low"], pair["difference_high"]
        sentence = Markup("{}Pre-trained, {} has {} than untrained ({}), {} {} ({})").format(
            "" if paragraphs else "What did learning without labels save? ",
            mark_name(experiment),
            strong(f"{abs(points):.1f} points {'more' if points >= 0 else 'less'} UA"),
            mark_name(twin),
            "on average over" if len(pair["sizes"].split()) > 1 else "with",
            format_count(len(pair["sizes"].split()), "training size"),
            format_interval(pair, "difference", unit=" points") or "no confidence interval",
        )
        if is_number(low) and is_number(high) and low <= 0 <= high:
            sentence += Markup(": this interval includes 0, so a gain is not shown.")
        else:
            sentence += Markup(".")
        row = _largest_size_row(study, experiment, twin)
        paragraphs.append(
            sentence if row is None else sentence + Markup(" ") + labels_saved_sentence(row)
        )
    return paragraphs


def _largest_size_row(study: Study, experiment: str, other: str) -> dict[str, Any] | None:
    """Return the row of efficiency against the largest size of another experiment."""
    efficiency = study.rows("efficiency")
    if efficiency is None:
        return None
    rows = efficiency.filter("at_largest_size", experiment=experiment, other=other)
    return next(rows.iter_rows(named=True), None)


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
    pairs = [
        row
        for row in efficiency.filter("at_largest_size").iter_rows(named=True)
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
    if format_percent(row["measured_ua"]) != format_percent(row["ua"]):
        sentence += Markup(" ({} at the size {}: measured {}, below its learning curve.)").format(
            other, row["other_size"], format_percent(row["measured_ua"])
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
