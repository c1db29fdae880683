"""List, and after a question remove, what a study's configuration no longer makes.

Features, changed audio, folds, trainings, tests and logs under the study's results folder that
Snakemake counts as untracked (`snakemake --list-untracked`). Run it where Snakemake is run.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import ConfigurationError

SNAKEFILE = Path(__file__).resolve().parent.parent / "Snakefile"
CLEANED = ("features", "perturbed", "protocol", "runs", "robustness", "logs")
"""Folders of a study that hold nothing but what rules make; hidden files are caches and stay."""


@click.command(help=__doc__)
@click.option(
    "--configfile",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The study, as Snakemake is given it.",
)
@click.option("--dry-run", is_flag=True, help="List, and remove nothing.")
@report_user_errors
def main(configfile: Path, dry_run: bool) -> None:
    folder = Path(os.path.relpath(parse_study(read_configuration_file(configfile)).folder))
    if ".." in folder.parts:
        raise ConfigurationError(f"{folder} is not below this folder: run it where it is")
    stale = [path for path in untracked(configfile) if _is_cleaned(path, folder)]
    if not stale:
        click.echo(f"nothing to remove: the configuration makes all that is in {folder}")
        return
    sizes: Counter[Path] = Counter()
    for path in stale:
        sizes[path.parent] += path.stat().st_size
    for place, size in sorted(sizes.items()):
        files = sum(path.parent == place for path in stale)
        click.echo(f"{size / 1e6:10,.1f} MB  {files:5} files  {place}")
    if dry_run:
        return
    click.confirm(f"Remove these {len(stale)} files?", abort=True)
    for path in stale:
        path.unlink()
        for parent in path.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()


def untracked(configfile: Path) -> list[Path]:
    """Files below the working folder that are no file of a step of the study."""
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(SNAKEFILE)]
    words = [*snakemake, "--configfile", str(configfile), "--list-untracked", "--quiet", "all"]
    ran = subprocess.run(words, capture_output=True, text=True)
    if ran.returncode:
        raise ConfigurationError(f"nothing is removed: Snakemake cannot plan it: {ran.stderr}")
    return [Path(line) for line in ran.stdout.splitlines()]


def _is_cleaned(path: Path, folder: Path) -> bool:
    """Whether it lies in a folder of the study that is cleaned, itself and not by a link."""
    if not any(path.is_relative_to(folder / name) for name in CLEANED):
        return False
    below = [path, *path.parents][: len(path.parts) - len(folder.parts) + 1]
    return not any(each.is_symlink() for each in below)


if __name__ == "__main__":
    main()
