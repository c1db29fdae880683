"""Import the folds that EmoBox publishes for a corpus.

FOLDER is the corpus's folder in a copy of EmoBox's repository, such as EmoBox/data/cremad. The
result is a table for protocol.fold_file.
"""

from pathlib import Path

import click

from emoscale.protocol.emobox import describe_folds, import_folds
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.runtime.errors import ProtocolError
from emoscale.tables.parquet import read_table, write_csv
from emoscale.tables.schemas import RECORDINGS


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@file_option("--recordings", "The study's results/<study>/corpus/recordings.parquet.")
@file_option("--output", "Table to write (.csv).")
@click.option(
    "--ignore-unmatched",
    is_flag=True,
    help="Ignore the recordings that EmoBox lists and the corpus does not have.",
)
@report_user_errors
def main(folder: Path, recordings: Path, output: Path, ignore_unmatched: bool) -> None:
    corpus = read_table(recordings, RECORDINGS)
    folds = import_folds(folder, corpus)
    if folds.unmatched:
        message = (
            f"{len(folds.unmatched):,} recordings that EmoBox lists are not in the corpus (the "
            f"first: {folds.unmatched[0]}; a recording of the corpus: {corpus['audio'][0]})"
        )
        if not ignore_unmatched:
            raise ProtocolError(
                f"{message}; complete the corpus, see rejected.csv beside {recordings}, or add "
                "--ignore-unmatched"
            )
        click.echo(f"ignored: {message}", err=True)
    write_csv(folds.table.select("utterance", "fold", "role"), output)
    for line in describe_folds(folds, corpus):
        click.echo(line)


if __name__ == "__main__":
    main()
