"""Audit a corpus before training: errors of the protocol, and weaknesses that affect the scores."""

from pathlib import Path

import click

from emoscale.audit.acoustics import ACOUSTICS
from emoscale.audit.corpus_audit import audit_corpus
from emoscale.audit.duplicates import DUPLICATE_PAIRS
from emoscale.audit.finding import AUDIT
from emoscale.config import parse_settings
from emoscale.config.corpus import AuditSettings
from emoscale.reporting.audit_page import write_audit_page
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import (
    read_table,
    read_utterances,
    table_provenance,
    write_csv,
    write_table,
)


@click.command(help=__doc__)
@click.option(
    "--settings",
    required=True,
    help='Settings as JSON: {"unit": "session", "test_units": [], "exclude": []}.',
)
@click.option("--corpus-name", required=True, help="Name of the corpus on the page.")
@file_option("--utterances", "Utterance table.")
@file_option("--texts", "Table of transcripts.")
@file_option("--acoustics", "Table of acoustic measures.")
@file_option("--pairs", "Table of pairs that are the same recording.")
@file_option("--output", "Table of findings to write; also written as CSV.")
@file_option("--page", "HTML page to write.")
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
    audit_settings = parse_settings(AuditSettings, settings, "--settings")
    utterance_table = read_utterances(utterances, texts)
    acoustics_table = read_table(acoustics, ACOUSTICS)
    pair_table = read_table(pairs, DUPLICATE_PAIRS)
    audit = audit_corpus(utterance_table, acoustics_table, pair_table, audit_settings)
    sources = [utterances, texts, acoustics, pairs]
    write_table(audit.findings, output, AUDIT, table_provenance(output.parent, __file__, sources))
    write_csv(audit.findings, output.with_suffix(".csv"))
    write_audit_page(page, audit, utterance_table, acoustics_table, corpus_name)
    for severity, detail in audit.findings.select("severity", "detail").iter_rows():
        click.echo(f"{severity}: {detail}")


if __name__ == "__main__":
    main()
