"""Draw the attention of the tokens of an UTTERANCE over its speech, in a trained MODEL.

MODEL is the folder of a run of a model of the kind aligned_fusion, in the results of its study:
results/<study>/runs/<experiment>/<fold>/<size>. With a figure (.svg, .png or .html) the attention
weights are also written to a .parquet file of the same name; --output map.json or map.parquet
writes the attention weights only.
"""

from pathlib import Path

import click
import torch

from emoscale.prediction.attention import (
    ATTENTION,
    attention_json,
    attention_of_utterance,
    attention_table,
    study_folder,
)
from emoscale.reporting.attention_map import draw_attention
from emoscale.runtime.command import computing_options, file_option, report_user_errors
from emoscale.runtime.devices import choose_device
from emoscale.runtime.errors import UserError
from emoscale.runtime.files import write_json
from emoscale.tables.parquet import write_table
from emoscale.training.saved_run import read_run

FIGURE_SUFFIXES = (".svg", ".png", ".html")
DATA_SUFFIXES = (".json", ".parquet")


@click.command(help=__doc__)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("utterance")
@file_option("--output", "Figure (.svg, .png, .html) or data (.json, .parquet) to write.")
@click.option(
    "--repeat", default=0, show_default=True, help="Number of the run's repeat to use, from 0."
)
@click.option(
    "--study",
    type=click.Path(path_type=Path),
    help="Folder of the study's results.  [default: the folder that contains MODEL]",
)
@computing_options
@report_user_errors
def main(
    model: Path,
    utterance: str,
    output: Path,
    repeat: int,
    study: Path | None,
    device: str,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    suffix = output.suffix.lower()
    if suffix not in FIGURE_SUFFIXES + DATA_SUFFIXES:
        known = ", ".join(FIGURE_SUFFIXES + DATA_SUFFIXES)
        raise UserError(f"{output}: is not one of {known}; end its name in one of these")
    run = read_run(model)
    attention_map = attention_of_utterance(
        run, run.repeat(repeat), study or study_folder(run), utterance, choose_device(device)
    )
    if suffix in FIGURE_SUFFIXES:
        draw_attention(
            utterance,
            attention_map.tokens,
            attention_map.attention,
            attention_map.frame_rate,
            attention_map.seconds,
            output,
        )
        click.echo(f"figure: {output}")
    data = output if suffix in DATA_SUFFIXES else output.with_suffix(".parquet")
    if suffix == ".json":
        write_json(data, attention_json(attention_map))
    else:
        write_table(attention_table(attention_map), data, ATTENTION)
    click.echo(f"attention weights: {data}")


if __name__ == "__main__":
    main()
