"""The study's question, and its answer in sentences that are true of every study."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from markupsafe import Markup

from emoscale.reporting.report.study import Study
from emoscale.reporting.report.words import (
    count_words,
    enumerated,
    interval_words,
    known,
    named,
    p_words,
    percent,
    size_words,
    strong,
    times_words,
)


def question_of(study: Study) -> str:
    """What the study asks."""
    if study.shuffled:
        return f"Negative control on {study.corpus}: is UA at chance where nothing can be learned?"
    if len(study.largest) == 1:
        return f"How well is emotion recognised in {study.corpus}, from how few labels?"
    return (
        f"Which representation recognises emotion in {study.corpus}, from how few labels, and how "
        "sure are we?"
    )


def answer_of(study: Study) -> list[Markup]:
    """The answer, in two to four sentences or short paragraphs with their numbers."""
    if study.shuffled:
        return _control(study)
    at_largest = _at_largest_size(study)
    best = at_largest.row(0, named=True)
    return [_best(study, at_largest, best), *_lead(study, at_largest, best), *_labels_saved(study)]


def _at_largest_size(study: Study) -> pl.DataFrame:
    """The scores of all experiments that were trained at the study's largest size, best first."""
    top = study.scores.sort("training_utterances_mean").row(-1, named=True)
    same = study.scores.filter(pl.col("size") == top["size"])
    return same.sort("ua", descending=True, maintain_order=True)


def _best(study: Study, at_largest: pl.DataFrame, best: dict[str, Any]) -> Markup:
    size = size_words(best["size"], best["training_utterances_mean"])
    name, ua = named(best["experiment"]), strong(percent(best["ua"]))
    chance = percent(best["chance_ua"])
    interval = interval_words(best, "ua") or (
        "no interval over speakers: fewer than two were tested"
        if "ua_low" in best
        else f"± {100 * best['ua_repeat_std']:.1f} over repeats, without an interval over speakers"
    )
    several = len(at_largest) > 1
    verb = "recognises emotion best: its" if several else "has a"
    sentence = Markup(
        "Trained on {}, {} {} unweighted accuracy (UA) is {} ({}); guessing gives {}."
        if several
        else "Trained on {}, {} {} UA of {} ({}); guessing gives {}."
    ).format(size, name, verb, ua, interval, chance)
    if known(best.get("ua_low")) and best["ua_low"] <= best["chance_ua"]:
        sentence += Markup(
            " Its interval includes guessing, so nothing was shown to be recognised."
        )
    others = len(study.largest) - len(at_largest)
    if others:
        sentence += Markup(" ({} not trained at this size.)").format(
            count_words(others, "experiment was", "experiments were")
        )
    return sentence


def _lead(study: Study, at_largest: pl.DataFrame, best: dict[str, Any]) -> list[Markup]:
    """Whether the best is better than the next, beyond doubt."""
    if len(at_largest) == 1:
        return []
    next_best = at_largest.row(1, named=True)
    lead = 100 * (best["ua"] - next_best["ua"])
    ahead = Markup("leads {} ({}) by {}").format(
        named(next_best["experiment"]), percent(next_best["ua"]), strong(f"{lead:.1f} points")
    )
    compared = study.rows("comparisons")
    if compared is None:
        return [
            Markup("It {}; whether that is more than chance was not tested in this study.").format(
                ahead
            )
        ]
    own = _pairs_of(compared, best["experiment"], best["size"])
    pair = next((row for row in own if row["rival"] == next_best["experiment"]), None)
    beaten = sum(row["winner"] == best["experiment"] for row in own)
    tally = Markup("")
    if len(own) > 1:
        tally = Markup(" It beats {} of the {} others beyond doubt (Holm's correction).").format(
            beaten, len(own)
        )
    if pair is None:
        return [Markup("It {}; the two were not compared.").format(ahead) + tally]
    detail = ", ".join(filter(None, (interval_words(pair, "difference", unit=" points"), _p(pair))))
    if pair["winner"] == best["experiment"]:
        told = Markup("It {}, and that lead is {} after correction for {} ({}).").format(
            ahead, strong("beyond doubt"), _comparisons(study), detail
        )
    else:
        doubt = strong("within the uncertainty")
        if _alone_it_would_win(pair):
            doubt = strong("not beyond doubt") + Markup(
                " once all {} of the study are corrected for"
            ).format(_comparisons(study))
        told = Markup(
            "It {}, but that lead is {} ({}): of these two, none is declared the winner."
        ).format(ahead, doubt, detail)
    return [told + tally]


def _alone_it_would_win(pair: dict[str, Any]) -> bool:
    """Whether the interval of this difference, taken for itself, leaves out zero."""
    low, high = pair.get("difference_low"), pair.get("difference_high")
    return low is not None and high is not None and (low > 0 or high < 0)


def _p(pair: dict[str, Any]) -> str:
    return f"{p_words(pair['p_holm'])} after Holm" if known(pair.get("p_holm")) else ""


def _comparisons(study: Study) -> str:
    rows = study.rows("comparisons")
    assert rows is not None
    return count_words(len(rows), "comparison")


def _pairs_of(compared: pl.DataFrame, experiment: str, size: str) -> list[dict[str, Any]]:
    """The comparisons of an experiment at a size, each seen from its side, with its `rival`."""
    pairs = []
    for row in compared.filter(pl.col("size") == size).iter_rows(named=True):
        if row["experiment"] == experiment:
            pairs.append({**row, "rival": row["other"]})
        elif row["other"] == experiment:
            low, high = row["difference_low"], row["difference_high"]
            turned = {
                "difference": -row["difference"],
                "difference_low": -high if known(high) else None,
                "difference_high": -low if known(low) else None,
            }
            pairs.append({**row, **turned, "rival": row["experiment"]})
    return pairs


def _labels_saved(study: Study) -> list[Markup]:
    """How many times fewer labels the best curve needs for what another reaches with all of its."""
    curves = (
        study.scores.group_by("experiment", maintain_order=True).len().filter(pl.col("len") > 1)
    )
    if curves.is_empty():
        return [
            Markup(
                "{} trained at one size only, so how many labels one saves is not known."
            ).format("It was" if len(study.largest) == 1 else "Every experiment was")
        ]
    if len(study.largest) == 1:
        return [_growth(study)]
    efficiency = study.rows("efficiency")
    if efficiency is None:
        return [Markup("How many labels one saves over another was not measured in this study.")]
    row = _answering_pair(study, efficiency)
    return [] if row is None else [labels_saved_sentence(row)]


def _growth(study: Study) -> Markup:
    """What one experiment gains between its smallest and its largest size."""
    first, *_, last = study.scores.sort("training_utterances_mean").iter_rows(named=True)
    return Markup("With {} its UA is {}, with {} {}.").format(
        size_words(first["size"], first["training_utterances_mean"]),
        percent(first["ua"]),
        size_words(last["size"], last["training_utterances_mean"]),
        percent(last["ua"]),
    )


def _answering_pair(study: Study, efficiency: pl.DataFrame) -> dict[str, Any] | None:
    """The best experiment that has a curve against the reference, at all labels of that.

    Where there is no reference, or none with a curve is better, against its strongest rival, one
    that has a curve itself before one that has not.
    """
    reference = study.tables["efficiency"].about.get("reference")
    ranked = study.largest["experiment"].to_list()
    place = {name: number for number, name in enumerate(ranked)}
    sizes = dict(study.scores.group_by("experiment").len().iter_rows())
    last = efficiency.sort("other_labels").group_by("experiment", "other").last()
    pairs = [
        row
        for row in last.iter_rows(named=True)
        if place.get(row["experiment"], len(ranked)) < place.get(row["other"], -1)
    ]
    pairs.sort(
        key=lambda row: (
            row["other"] != reference,
            place[row["experiment"]],
            sizes[row["other"]] == 1,
            place[row["other"]],
        )
    )
    return next(iter(pairs), None)


def labels_saved_sentence(row: dict[str, Any]) -> Markup:
    """A row of `efficiency` in words."""
    one, other = named(row["experiment"]), named(row["other"])
    goal = Markup("the UA that {} reaches with {} labels ({})").format(
        other, f"{row['other_labels']:,.0f}", percent(row["ua"])
    )
    factor = row["factor"]
    if row["bound"] == "not reached" or not known(factor):
        return Markup("{} does not reach {} within the measured sizes.").format(one, goal)
    interval = _factor_interval(row)
    if row["bound"] == "at least":
        told = Markup("{} passes {} with its smallest training set already: {} labels{}.")
        few = strong(f"at least {times_words(factor)} times fewer")
        return told.format(one, goal, few, interval)
    if row["bound"] == "at most":
        told = Markup("For {}, {} needs more labels than were measured: {} {}.")
        return told.format(
            goal, one, strong(f"at most {times_words(factor)} times"), "as few" + interval
        )
    if 0.95 < factor < 1.05:
        amount = strong("about as many")
    elif factor >= 1:
        amount = strong(f"{times_words(factor)} times fewer")
    else:
        amount = strong(f"{times_words(1 / factor)} times more")
    needs = f"{row['labels']:,.0f}" if known(row["labels"]) else "an unknown number of"
    sentence = Markup("For {}, {} needs {} labels: {}{}.").format(
        goal, one, needs, amount, interval
    )
    low, high = row.get("factor_low"), row.get("factor_high")
    if interval and low is not None and high is not None and low <= 1 <= high:
        sentence += Markup(" That interval includes 1, so a saving is not certain.")
    return sentence


def _factor_interval(row: dict[str, Any]) -> str:
    """The interval of a factor; its ends may be open."""
    low, high = row.get("factor_low"), row.get("factor_high")
    if not known(low) or not known(high) or low is None or high is None:
        return ""
    if low <= 0 and math.isinf(high):
        return " (its 95\u00a0% interval is open at both ends: nothing is certain here)"
    if math.isinf(high):
        return f" (95\u00a0% interval: a factor of {times_words(low)} or more)"
    if low <= 0:
        return f" (95\u00a0% interval: a factor of {times_words(high)} or less)"
    return f" (95\u00a0% interval: a factor of {times_words(low)} to {times_words(high)})"


def _control(study: Study) -> list[Markup]:
    """Whether a study with permuted labels is at chance, as it must be."""
    scores = study.scores
    chance = float(scores["chance_ua"][0])
    farthest = (
        scores.with_columns(off=(pl.col("ua") - chance).abs()).sort("off").row(-1, named=True)
    )
    said = [
        Markup(
            "The labels of training and development are permuted, so nothing can be learned and "
            "every UA must be at chance, {}."
        ).format(strong(percent(chance)))
    ]
    far = Markup("The farthest from chance is {} with {}: UA {}").format(
        named(farthest["experiment"]),
        size_words(farthest["size"], farthest["training_utterances_mean"]),
        percent(farthest["ua"]),
    )
    if "ua_low" not in scores.columns or scores["ua_low"].fill_nan(None).null_count() == len(
        scores
    ):
        return [*said, far + Markup("; without intervals, it cannot be said whether that is luck.")]
    judged = scores.filter(pl.col("ua_low").fill_nan(None).is_not_null())
    off = judged.filter((pl.col("ua_low") > chance) | (pl.col("ua_high") < chance))
    if off.is_empty():
        verdict = Markup("They are {}: the 95 % interval of each of the {} includes it.").format(
            strong("at chance"), count_words(len(judged), "score")
        )
    else:
        names = off["experiment"].unique(maintain_order=True).to_list()
        verdict = Markup(
            "{} of {} have a 95 % interval that leaves chance out ({}); by luck alone, about one "
            "in twenty would."
        ).format(strong(str(len(off))), count_words(len(judged), "score"), enumerated(names))
    return [*said, verdict, far + Markup(".")]
