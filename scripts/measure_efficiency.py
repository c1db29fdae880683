"""Compute label efficiency between experiments, and forecast larger training sizes."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.evidence import StudyEvidence
from emoscale.evaluation.comparisons import COMPARISONS, rank_experiments
from emoscale.evaluation.curves import measured_curves
from emoscale.evaluation.efficiency import (
    EFFICIENCY,
    MOST_EXPERIMENTS_IN_PAIRS,
    efficiency_table,
    hand_engineered_experiments,
    reference_experiment,
    single_size_note,
)
from emoscale.evaluation.forecast import FORECAST, forecast_table
from emoscale.evaluation.published import PUBLISHED_TABLE, published_table
from emoscale.evaluation.scores import CONFUSION_BY_SPEAKER
from emoscale.evaluation.speakers import counts_by_cell
from emoscale.runtime.command import file_option, json_option, report_user_errors
from emoscale.tables.parquet import (
    read_any_table,
    read_table,
    table_provenance,
    write_csv,
    write_table,
)


@click.command(help=__doc__)
@json_option("--settings", "The study's settings for this step, as JSON.")
@file_option("--scores", "Table of scores.")
@file_option("--confusions", "Table of confusion counts by speaker.")
@file_option("--comparisons", "Table of comparisons.")
@file_option("--output", "Folder for the tables.")
@report_user_errors
def main(settings: str, scores: Path, confusions: Path, comparisons: Path, output: Path) -> None:
    evidence = parse_settings(StudyEvidence, settings, "--settings")
    study_scores = read_any_table(scores)
    counts = read_table(confusions, CONFUSION_BY_SPEAKER)
    classes = sorted(counts["label"].unique())
    curves = measured_curves(study_scores, counts_by_cell(counts, classes), evidence.seed)
    ranking = rank_experiments(read_table(comparisons, COMPARISONS), study_scores)
    reference = reference_experiment(
        curves, ranking, hand_engineered_experiments(evidence.experiments), evidence.reference
    )
    selected = None
    if len(curves) > MOST_EXPERIMENTS_IN_PAIRS:
        selected = [name for name in dict.fromkeys([reference, ranking[0]]) if name is not None]
        click.echo(
            f"the study has {len(curves)} experiments: the table of efficiency has the pairs with "
            f"{' or '.join(selected)} only"
        )
    forecasts = forecast_table(
        curves,
        study_scores["chance_ua"][0],
        evidence.forecast_sizes,
        evidence.target_ua,
        evidence.seed,
    )
    left_out = single_size_note(curves)
    if left_out:
        click.echo(left_out)
    click.echo(f"reference experiment: {reference or 'none, no experiment has several sizes'}")
    metadata = {
        "reference": reference or "",
        "left_out": left_out,
        **table_provenance(output, __file__, [scores, confusions, comparisons]),
    }
    for name, table, schema in (
        ("efficiency", efficiency_table(curves, selected), EFFICIENCY),
        ("forecast", forecasts, FORECAST),
        ("published", published_table(study_scores, evidence), PUBLISHED_TABLE),
    ):
        write_table(table, output / f"{name}.parquet", schema, metadata)
        write_csv(table, output / f"{name}.csv")


if __name__ == "__main__":
    main()
