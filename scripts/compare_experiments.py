"""Compare all pairs of experiments, over their learning curves and at each training size."""

from pathlib import Path

import click

from emoscale.evaluation.comparisons import (
    COMPARISONS,
    COMPARISONS_BY_SIZE,
    StudyValues,
    comparison_table,
    comparison_table_by_size,
)
from emoscale.evaluation.scores import CONFUSION_BY_SPEAKER
from emoscale.evaluation.speakers import counts_by_cell
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import (
    read_any_table,
    read_table,
    table_provenance,
    write_csv,
    write_table,
)


@click.command(help=__doc__)
@file_option("--scores", "Table of scores.")
@file_option("--confusions", "Table of confusion counts by speaker.")
@click.option("--reference", default="", help="The study's `evidence.reference`; empty: none.")
@file_option("--output", "Folder for the tables.")
@report_user_errors
def main(scores: Path, confusions: Path, reference: str, output: Path) -> None:
    counts = read_table(confusions, CONFUSION_BY_SPEAKER)
    classes = sorted(counts["label"].unique())
    study = StudyValues(read_any_table(scores), counts_by_cell(counts, classes))
    comparisons = comparison_table(study, reference or None)
    metadata = {
        "reference": reference,
        **table_provenance(output, __file__, [scores, confusions]),
    }
    for name, table, schema in (
        ("comparisons", comparisons, COMPARISONS),
        ("comparisons_by_size", comparison_table_by_size(study), COMPARISONS_BY_SIZE),
    ):
        write_table(table, output / f"{name}.parquet", schema, metadata)
        write_csv(table, output / f"{name}.csv")
    winners = comparisons["winner"].drop_nulls()
    click.echo(
        f"{len(comparisons)} pairs compared; {(winners != 'none').sum()} of {len(winners)} in the "
        "corrected family have a winner (Holm, 5 %)"
    )


if __name__ == "__main__":
    main()
