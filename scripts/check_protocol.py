"""Check all folds before training: leakage, missing classes, training sizes that are too large."""

from pathlib import Path

import click

from emoscale.audit.corpus_audit import audit_warnings, raise_on_errors
from emoscale.audit.duplicates import DUPLICATES
from emoscale.audit.finding import AUDIT
from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings, SizesSettings
from emoscale.protocol.checks import check_folds, protocol_warnings
from emoscale.runtime.command import (
    file_option,
    files_argument,
    protocol_option,
    report_user_errors,
)
from emoscale.runtime.files import write_json
from emoscale.tables.parquet import read_fold, read_table, read_utterances


@click.command(help=__doc__)
@protocol_option
@click.option("--sizes", required=True, help='The study\'s `sizes`, as JSON: {"sizes": [100]}.')
@file_option("--utterances")
@file_option("--texts")
@file_option("--duplicates")
@file_option("--audit")
@file_option("--output")
@files_argument("folds")
@report_user_errors
def main(
    protocol: str,
    sizes: str,
    utterances: Path,
    texts: Path,
    duplicates: Path,
    audit: Path,
    output: Path,
    folds: tuple[Path, ...],
) -> None:
    settings: SeededProtocolSettings = parse_settings(
        SeededProtocolSettings, protocol, "--protocol"
    )
    size_settings: SizesSettings = parse_settings(SizesSettings, sizes, "--sizes")
    report = check_folds(
        read_utterances(utterances, texts),
        {path.stem: read_fold(path) for path in folds},
        [str(size) for size in size_settings.sizes],
        settings,
        read_table(duplicates, DUPLICATES),
    )
    findings = read_table(audit, AUDIT)
    raise_on_errors(findings)
    report["warnings"] = [*protocol_warnings(report), *audit_warnings(findings)]
    write_json(output, report)
    for warning in report["warnings"]:
        click.echo(f"warning: {warning}")


if __name__ == "__main__":
    main()
