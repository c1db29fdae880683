"""Write the report page of a study: results, their uncertainty and their provenance."""

import json
from pathlib import Path

import click

from emoscale.reporting.report.page import write_report
from emoscale.reporting.report.study import read_study
from emoscale.runtime.command import file_option, files_argument, json_option, report_user_errors


@click.command(help=__doc__)
@files_argument("tables")
@file_option("--checks", "File of the protocol checks, JSON.")
@json_option("--settings", "Sections of the study's configuration to show, as JSON.")
@file_option("--output", "HTML file of the report.")
@report_user_errors
def main(tables: tuple[Path, ...], checks: Path, settings: str, output: Path) -> None:
    write_report(read_study(tables, checks, json.loads(settings)), output)


if __name__ == "__main__":
    main()
