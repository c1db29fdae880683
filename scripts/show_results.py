"""Say where a study's tables, figures and report are, with its scores as a table."""

from pathlib import Path

import click
import polars as pl
from rich.console import Console
from rich.table import Table

from emoscale.command import shows_sentences
from emoscale.errors import StoreError
from emoscale.reporting.figures import weights_lines


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@shows_sentences
def main(folder: Path) -> None:
    path = folder / "tables" / "scores.parquet"
    if not path.exists():
        raise StoreError(f"{path} does not exist; run the study first")
    scores = pl.read_parquet(path)
    table = Table(title=f"{scores['study'][0]}: {scores['corpus'][0]}", title_justify="left")
    for heading in ("experiment", "labels", "UA", "± repeats", "mean of folds", "± folds", "WA"):
        table.add_column(heading, justify="left" if heading == "experiment" else "right")
    for row in scores.iter_rows(named=True):
        table.add_row(
            row["experiment"],
            f"{row['training_utterances_mean']:,.0f}",
            *(f"{100 * row[name]:.1f}" for name in (
                "ua", "ua_repeat_deviation", "ua_fold_mean", "ua_fold_deviation", "wa"
            )),
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(f"UA by chance: {100 * scores['chance_ua'][0]:.1f}", highlight=False)
    for note in filter(None, scores["notes"][0].split("; ")):
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    for line in weights_lines(scores):
        console.print(line, highlight=False, soft_wrap=True)
    for what, where in (
        ("tables", folder / "tables"),
        ("figures", folder / "figures"),
        ("left out of the corpus", folder / "corpus" / "rejected.csv"),
        ("report", folder / "workflow-report.html"),
    ):
        if where.exists():
            click.echo(f"{what}: {where}")


if __name__ == "__main__":
    main()
