"""List and remove what no configuration needs any more: features, runs, logs and the like."""

import os
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emoscale.command import shows_sentences
from emoscale.running.amounts import bytes_words
from emoscale.running.garbage import (
    Rubbish,
    StudyFolder,
    find_rubbish,
    refuse_while_locked,
    remove,
    study_folders,
    unnamed_studies,
)
from emoscale.running.options import study_options, terminal

CONFIGURATIONS = Path("config")


@click.command(help=__doc__)
@study_options
@click.option("--dry-run", is_flag=True, help="List, and remove nothing.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option(
    "--unnamed-studies",
    "with_unnamed",
    is_flag=True,
    help="Remove whole results folders of studies that no configuration names, too.",
)
@shows_sentences
def main(
    configfile: tuple[Path, ...],
    config: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    with_unnamed: bool,
) -> None:
    if config and not configfile:
        raise click.UsageError("--config needs a --configfile that it is for")
    refuse_while_locked()
    files = sorted(CONFIGURATIONS.glob("*.yaml"))
    if not files and not configfile:
        raise click.UsageError("there is no config/*.yaml here: run it where Snakemake is run")
    studies = list(study_folders(files, configfile, config).values())
    chosen = [study for study in studies if study.folder.is_dir()]
    if configfile:
        given = {path.resolve() for path in configfile}
        chosen = [study for study in chosen if study.configfiles & given]
    console = terminal()
    found = [rubbish for study in chosen for rubbish in _found(study, console)]
    unnamed = unnamed_studies(studies)
    for each in unnamed:
        note = "" if with_unnamed else "; --unnamed-studies removes it"
        console.print(
            f"{_place(each.path)}: {bytes_words(each.bytes)} of a study that no configuration "
            f"names{note}",
            soft_wrap=True,
        )
    found += unnamed if with_unnamed else []
    if not found:
        console.print("Nothing to remove: all else is needed by a configuration.")
        return
    size = bytes_words(sum(rubbish.bytes for rubbish in found))
    if dry_run:
        console.print(f"{size} would be removed; without --dry-run it is.")
        return
    if not yes:
        click.confirm(f"Remove these {size}?", abort=True)
    console.print(f"{bytes_words(remove(found, studies))} removed.")


def _found(study: StudyFolder, console: Console) -> list[Rubbish]:
    place = _place(study.folder)
    if study.unplanned:
        console.print(f"{place} is left alone: {escape(study.unplanned)}", soft_wrap=True)
    elif study.folder.is_symlink():
        console.print(f"{place} is left alone: it is a link")
    found = find_rubbish(study)
    if not found:
        return found
    table = Table(title=f"{place}: no configuration needs", title_justify="left")
    table.add_column("what", no_wrap=True)
    table.add_column("where", overflow="fold")
    for heading in ("files", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for rubbish in found:
        key = (rubbish.kind, _part(rubbish.path.relative_to(study.folder)))
        counts[key] += 1
        sizes[key] += rubbish.bytes
    for (kind, part), count in sorted(counts.items()):
        table.add_row(kind, escape(part), f"{count:,}", bytes_words(sizes[kind, part]))
    console.print(table)
    return found


def _part(path: Path) -> str:
    """The folder that files are counted by: of a deep one its first two names."""
    return "/".join(path.parts[:2]) if len(path.parts) > 2 else str(path)


def _place(path: Path) -> str:
    return escape(os.path.relpath(path))


if __name__ == "__main__":
    main()
