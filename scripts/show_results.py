"""Say where a study's tables, figures and report are, with its scores as a table."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from emoscale.reporting.figures import weights_lines
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import StoreError
from emoscale.tables.parquet import read_any_table

_SHARES = ("ua", "ua_repeat_std", "ua_fold_mean", "ua_fold_std", "wa")
_HEADINGS = ("labels", "UA", "95 %", "± repeats", "mean of folds", "± folds", "WA")
_COLUMNS_OF_A_FILE = 100


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@report_user_errors
def main(folder: Path) -> None:
    path = folder / "tables" / "scores.parquet"
    if not path.exists():
        raise StoreError(f"{path} does not exist; run the study first")
    scores = read_any_table(path)
    table = Table(title=f"{scores['study'][0]}: {scores['corpus'][0]}", title_justify="left")
    table.add_column("experiment", overflow="fold")  # no name is cut: two may begin alike
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", overflow="fold")
    for (experiment,), rows in scores.group_by("experiment", maintain_order=True):
        labels = [f"{number:,.0f}" for number in rows["training_utterances_mean"]]
        ua, *shares = ([f"{100 * share:.1f}" for share in rows[name]] for name in _SHARES)
        ends = zip(rows["ua_low"], rows["ua_high"], strict=True)
        interval = [f"{100 * low:.1f} – {100 * high:.1f}" for low, high in ends]
        # A line a size within one row, so that a long name is folded beside them.
        table.add_row(
            str(experiment), *("\n".join(column) for column in (labels, ua, interval, *shares))
        )
        if len(labels) > 1:
            table.add_section()
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width
        console.width = _COLUMNS_OF_A_FILE
    console.print(table)
    console.print(f"UA by chance: {100 * scores['chance_ua'][0]:.1f}", highlight=False)
    console.print(
        f"95 %: interval of UA over other speakers ({scores['test_speakers'][0]} were tested) and "
        "trainings",
        highlight=False,
        soft_wrap=True,
    )
    for note in filter(None, scores["notes"][0].split("; ")):
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    for line in weights_lines(scores):
        console.print(line, highlight=False, soft_wrap=True)
    for what, where in (
        ("tables", folder / "tables"),
        ("figures", folder / "figures"),
        ("left out of the corpus", folder / "corpus" / "rejected.csv"),
        ("report", folder / "report.html"),
    ):
        if where.exists():
            click.echo(f"{what}: {where}")


if __name__ == "__main__":
    main()
