"""Print a study's scores as a table, and the paths of its tables, figures and report."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from emoscale.reporting.figures import note_lines, weights_lines
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import StoreError
from emoscale.tables.parquet import read_any_table

_SCORES = ("ua", "ua_repeat_std", "ua_fold_mean", "ua_fold_std", "wa")
_HEADINGS = ("labels", "UA", "95 % CI", "std, repeats", "mean of folds", "std, folds", "WA")
_FILE_COLUMNS = 100


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@report_user_errors
def main(folder: Path) -> None:
    table_path = folder / "tables" / "scores.parquet"
    if not table_path.exists():
        raise StoreError(f"{table_path} does not exist; run the study first")
    scores = read_any_table(table_path)
    table = Table(title=f"{scores['study'][0]}: {scores['corpus'][0]}", title_justify="left")
    table.add_column("experiment", overflow="fold")  # two names may have the same beginning
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", overflow="fold")
    for (experiment,), rows in scores.group_by("experiment", maintain_order=True):
        labels = [f"{number:,.0f}" for number in rows["training_utterances_mean"]]
        ua, *others = ([f"{100 * score:.1f}" for score in rows[name]] for name in _SCORES)
        intervals = zip(rows["ua_low"], rows["ua_high"], strict=True)
        interval = [f"{100 * low:.1f} – {100 * high:.1f}" for low, high in intervals]
        # All sizes are lines of one row, so that a long name is wrapped next to them.
        table.add_row(
            str(experiment), *("\n".join(column) for column in (labels, ua, interval, *others))
        )
        if len(labels) > 1:
            table.add_section()
    console = Console()
    if not console.is_terminal:  # files and pipes have no width
        console.width = _FILE_COLUMNS
    console.print(table)
    console.print(f"chance: UA {100 * scores['chance_ua'][0]:.1f}", highlight=False)
    console.print(
        "UA: unweighted accuracy; 95 % CI: its confidence interval, a bootstrap over "
        f"{scores['test_speakers'][0]} test speakers and trainings; std: standard deviation; WA: "
        "weighted accuracy",
        highlight=False,
        soft_wrap=True,
    )
    for note in note_lines(scores["notes"]):
        console.print(f"warning: {note}", highlight=False, soft_wrap=True)
    for line in weights_lines(scores):
        console.print(line, highlight=False, soft_wrap=True)
    for content, path in (
        ("tables", folder / "tables"),
        ("figures", folder / "figures"),
        ("rejected recordings", folder / "corpus" / "rejected.csv"),
        ("report", folder / "report.html"),
    ):
        if path.exists():
            click.echo(f"{content}: {path}")


if __name__ == "__main__":
    main()
