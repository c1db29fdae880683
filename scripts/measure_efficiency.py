"""Count the labels that one experiment saves against another, and forecast further sizes."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.evidence import StudyEvidence
from emoscale.evaluation.curves import measured_curves
from emoscale.evaluation.efficiency import (
    EFFICIENCY,
    efficiency_table,
    hand_engineered,
    reference_of,
    without_curve,
)
from emoscale.evaluation.forecast import FORECAST, forecast_table
from emoscale.evaluation.published import PUBLISHED_TABLE, published_table
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import read_any_table, read_table, table_origin, write_csv, write_table
from emoscale.tables.schemas import UTTERANCES


@click.command(help=__doc__)
@click.option("--settings", required=True, help="JSON: the study's slice for evidence.")
@file_option("--scores")
@file_option("--predictions")
@file_option("--utterances")
@file_option("--output", "Folder of tables.")
@report_user_errors
def main(settings: str, scores: Path, predictions: Path, utterances: Path, output: Path) -> None:
    asked = parse_settings(StudyEvidence, settings, "--settings")
    table = read_any_table(scores)
    curves = measured_curves(
        table, read_any_table(predictions), read_table(utterances, UTTERANCES), asked.seed
    )
    reference = reference_of(curves, hand_engineered(asked.experiments), asked.reference)
    forecasts = forecast_table(
        curves, table["chance_ua"][0], asked.forecast_sizes, asked.target_ua, asked.seed
    )
    left_out = without_curve(curves)
    if left_out:
        click.echo(left_out)
    click.echo(f"the others' labels are compared with those of: {reference or 'none has a curve'}")
    about = {
        "reference": reference or "",
        "left_out": left_out,
        **table_origin(output, __file__, [scores, predictions, utterances]),
    }
    for name, made, schema in (
        ("efficiency", efficiency_table(curves), EFFICIENCY),
        ("forecast", forecasts, FORECAST),
        ("published", published_table(table, asked), PUBLISHED_TABLE),
    ):
        write_table(made, output / f"{name}.parquet", schema, about)
        write_csv(made, output / f"{name}.csv")


if __name__ == "__main__":
    main()
