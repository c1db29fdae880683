"""Compute label efficiency between experiments, and forecast larger training sizes."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.evidence import StudyEvidence
from emoscale.evaluation.curves import measured_curves
from emoscale.evaluation.efficiency import (
    EFFICIENCY,
    efficiency_table,
    hand_engineered_experiments,
    reference_experiment,
    single_size_note,
)
from emoscale.evaluation.forecast import FORECAST, forecast_table
from emoscale.evaluation.published import PUBLISHED_TABLE, published_table
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import (
    read_any_table,
    read_table,
    table_provenance,
    write_csv,
    write_table,
)
from emoscale.tables.schemas import UTTERANCES


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The study's settings for this step, as JSON.")
@file_option("--scores", "Table of scores.")
@file_option("--predictions", "Table of all predictions.")
@file_option("--utterances", "Utterance table.")
@file_option("--output", "Folder for the tables.")
@report_user_errors
def main(settings: str, scores: Path, predictions: Path, utterances: Path, output: Path) -> None:
    evidence = parse_settings(StudyEvidence, settings, "--settings")
    study_scores = read_any_table(scores)
    curves = measured_curves(
        study_scores, read_any_table(predictions), read_table(utterances, UTTERANCES), evidence.seed
    )
    reference = reference_experiment(
        curves, hand_engineered_experiments(evidence.experiments), evidence.reference
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
        **table_provenance(output, __file__, [scores, predictions, utterances]),
    }
    for name, table, schema in (
        ("efficiency", efficiency_table(curves), EFFICIENCY),
        ("forecast", forecasts, FORECAST),
        ("published", published_table(study_scores, evidence), PUBLISHED_TABLE),
    ):
        write_table(table, output / f"{name}.parquet", schema, metadata)
        write_csv(table, output / f"{name}.csv")


if __name__ == "__main__":
    main()
