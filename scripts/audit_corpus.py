"""Audit a corpus before anything is trained: what breaks the protocol, what weakens scores."""

from pathlib import Path

import click

from emoscale.audit.acoustics import ACOUSTICS
from emoscale.audit.finding import AUDIT
from emoscale.audit.findings import audit_corpus
from emoscale.audit.same_recordings import SAME_RECORDINGS
from emoscale.config import parse_settings
from emoscale.config.corpus import AuditSettings
from emoscale.reporting.audit_page import write_audit_page
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import (
    read_table,
    read_utterances,
    table_origin,
    write_csv,
    write_table,
)


@click.command(help=__doc__)
@click.option(
    "--settings",
    required=True,
    help='As JSON: {"unit": "session", "test_units": [], "exclude": []}.',
)
@click.option("--corpus-name", required=True, help="What it is called on the page.")
@file_option("--utterances")
@file_option("--texts")
@file_option("--acoustics")
@file_option("--pairs")
@file_option("--output", "The table.")
@file_option("--page")
@report_user_errors
def main(
    settings: str,
    corpus_name: str,
    utterances: Path,
    texts: Path,
    acoustics: Path,
    pairs: Path,
    output: Path,
    page: Path,
) -> None:
    asked = parse_settings(AuditSettings, settings, "--settings")
    table, measured = read_utterances(utterances, texts), read_table(acoustics, ACOUSTICS)
    audit = audit_corpus(table, measured, read_table(pairs, SAME_RECORDINGS), asked)
    origin = table_origin(output.parent, __file__, [utterances, texts, acoustics, pairs])
    write_table(audit.findings, output, AUDIT, origin)
    write_csv(audit.findings, output.with_suffix(".csv"))
    write_audit_page(page, audit, table, measured, corpus_name)
    for severity, detail in audit.findings.select("severity", "detail").iter_rows():
        click.echo(f"{severity}: {detail}")


if __name__ == "__main__":
    main()
