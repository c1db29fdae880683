"""Check all folds before anything is trained: leaks, missing classes, sizes that do not exist."""

from pathlib import Path

import click

from emoscale.audit.finding import AUDIT
from emoscale.audit.findings import audit_warnings, refuse_what_breaks
from emoscale.audit.same_recordings import DUPLICATES
from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings, SizesSettings
from emoscale.protocol.checks import check_folds, warnings_of
from emoscale.runtime.command import shows_sentences
from emoscale.runtime.files import write_json
from emoscale.tables.schemas import UTTERANCES, read_fold, read_table


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The study's `protocol` and seed, as JSON.")
@click.option("--sizes", required=True, help='The study\'s `sizes`, as JSON: {"sizes": [100]}.')
@click.option("--utterances", required=True, type=click.Path(path_type=Path))
@click.option("--duplicates", required=True, type=click.Path(path_type=Path))
@click.option("--audit", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path))
@click.argument("folds", nargs=-1, required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(
    settings: str,
    sizes: str,
    utterances: Path,
    duplicates: Path,
    audit: Path,
    output: Path,
    folds: tuple[Path, ...],
) -> None:
    protocol: SeededProtocolSettings = parse_settings(
        SeededProtocolSettings, settings, "--settings"
    )
    wanted: SizesSettings = parse_settings(SizesSettings, sizes, "--sizes")
    report = check_folds(
        read_table(utterances, UTTERANCES),
        {path.stem: read_fold(path) for path in folds},
        [str(size) for size in wanted.sizes],
        protocol,
        read_table(duplicates, DUPLICATES),
    )
    findings = read_table(audit, AUDIT)
    refuse_what_breaks(findings)
    report["warnings"] = [*warnings_of(report), *audit_warnings(findings)]
    write_json(output, report)
    for warning in report["warnings"]:
        click.echo(f"warning: {warning}")


if __name__ == "__main__":
    main()
