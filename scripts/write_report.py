"""Write the page that says what a study found, how sure that is, and where it came from."""

import json
from pathlib import Path

import click

from emoscale.reporting.report.page import write_report
from emoscale.reporting.report.study import read_study
from emoscale.runtime.command import file_option, files_argument, report_user_errors


@click.command(help=__doc__)
@files_argument("tables")
@file_option("--checks", "Protocol checks.")
@click.option("--settings", default="{}", help="JSON: parts of the study's configuration to show.")
@file_option("--output", "The page.")
@report_user_errors
def main(tables: tuple[Path, ...], checks: Path, settings: str, output: Path) -> None:
    write_report(read_study(tables, checks, json.loads(settings)), output)


if __name__ == "__main__":
    main()
