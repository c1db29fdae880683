"""List files that the study's configuration no longer produces, and remove them on confirmation.

These are features, perturbed audio, folds, runs, predictions and logs in the study's results folder
that Snakemake does not track (`snakemake --list-untracked`), and checkpoints that the configuration
does not list, with the states of their pre-training. Run it in the folder where Snakemake is run.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import click

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import ConfigurationError

SNAKEFILE = Path(__file__).resolve().parent.parent / "Snakefile"
CLEANED_FOLDERS = ("features", "perturbed", "protocol", "runs", "robustness", "logs")
"""Folders of a study that contain only outputs of rules; hidden files are caches and remain."""

CHECKPOINT_FOLDERS = ("checkpoints", ".pretraining")
"""Folders with one file or folder per checkpoint, which has its name."""


@click.command(help=__doc__)
@click.option(
    "--configfile",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration of the study, as for Snakemake.",
)
@click.option("--dry-run", is_flag=True, help="List the files without removing them.")
@report_user_errors
def main(configfile: Path, dry_run: bool) -> None:
    study = parse_study(read_configuration_file(configfile))
    folder = Path(os.path.relpath(study.folder))
    if ".." in folder.parts:
        raise ConfigurationError(
            f"{folder} is outside the current folder; run this program where Snakemake is run"
        )
    stale = [path for path in untracked_files(configfile) if _is_cleaned(path, folder)]
    stale += checkpoint_files(folder, study.checkpoints)
    if not stale:
        click.echo(f"nothing to remove: the configuration produces all files in {folder}")
        return
    sizes_bytes: Counter[Path] = Counter()
    for path in stale:
        sizes_bytes[path.parent] += path.stat().st_size
    for parent, size in sorted(sizes_bytes.items()):
        files = sum(path.parent == parent for path in stale)
        click.echo(f"{size / 1e6:10,.1f} MB  {files:5} files  {parent}")
    if dry_run:
        return
    click.confirm(f"Remove these {len(stale)} files?", abort=True)
    for path in stale:
        path.unlink()
        for parent in path.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()


def untracked_files(configfile: Path) -> list[Path]:
    """Return the files in the working folder that are no output of a rule of the study.

    Parameters
    ----------
    configfile : Path
        Configuration of the study.

    Returns
    -------
    list of Path
        Relative paths.

    Raises
    ------
    ConfigurationError
        If Snakemake fails.
    """
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(SNAKEFILE)]
    command = [*snakemake, "--configfile", str(configfile), "--list-untracked", "--quiet", "all"]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise ConfigurationError(f"no file is removed, since Snakemake fails: {process.stderr}")
    return [Path(line) for line in process.stdout.splitlines()]


def checkpoint_files(folder: Path, listed: Collection[str]) -> list[Path]:
    """Return the files of checkpoints that the configuration does not list.

    A checkpoint that is listed but not used by an experiment may have been pre-trained for days.

    Parameters
    ----------
    folder : Path
        Folder of the study.
    listed : collection of str
        Names under `checkpoints`.

    Returns
    -------
    list of Path
        Records, models, tables and saved states.
    """
    stale = [
        path
        for name in CHECKPOINT_FOLDERS
        for path in sorted((folder / name).glob("*"))
        if path.name.removesuffix(".json").removesuffix(".pt") not in listed
    ]
    files = [file for path in stale for file in (path, *sorted(path.rglob("*")))]
    return [file for file in files if file.is_file() and not _is_linked(file, folder)]


def _is_cleaned(path: Path, folder: Path) -> bool:
    """Whether a path is in a cleaned folder of the study, without symbolic links in between."""
    if not any(path.is_relative_to(folder / name) for name in CLEANED_FOLDERS):
        return False
    return not _is_linked(path, folder)


def _is_linked(path: Path, folder: Path) -> bool:
    """Whether a path in a folder is a symbolic link, or has one in between."""
    components = [path, *path.parents][: len(path.parts) - len(folder.parts) + 1]
    return any(component.is_symlink() for component in components)


if __name__ == "__main__":
    main()
