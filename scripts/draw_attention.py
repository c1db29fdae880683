"""Draw where the tokens of an UTTERANCE look in its speech, in a trained MODEL.

MODEL is the folder of a training of the kind aligned_fusion, among its study's results:
results/<study>/runs/<experiment>/<fold>/<size>. Beside a drawing (.svg, .png or .html) the map's
numbers are written as .parquet; --output map.json or map.parquet writes numbers alone.
"""

from pathlib import Path

import click
import torch

from emoscale.prediction.attention import (
    ATTENTION,
    attention_frame,
    attention_json,
    attention_of_utterance,
    study_of,
)
from emoscale.reporting.attention_map import draw_attention
from emoscale.runtime.command import computing_options, file_option, report_user_errors
from emoscale.runtime.devices import choose_device
from emoscale.runtime.errors import UserError
from emoscale.runtime.files import write_json
from emoscale.tables.parquet import write_table
from emoscale.training.saved_run import read_run

DRAWINGS = (".svg", ".png", ".html")
NUMBERS = (".json", ".parquet")


@click.command(help=__doc__)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("utterance")
@file_option("--output")
@click.option("--repeat", default=0, show_default=True, help="Which training of the cell.")
@click.option(
    "--study", type=click.Path(path_type=Path), help="Its results.  [default: where MODEL lies]"
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
    form = output.suffix.lower()
    if form not in DRAWINGS + NUMBERS:
        known = ", ".join(DRAWINGS + NUMBERS)
        raise UserError(f"{output}: is not one of {known}; end its name in one of these")
    run = read_run(model)
    shown = attention_of_utterance(
        run, run.repeat(repeat), study or study_of(run), utterance, choose_device(device)
    )
    if form in DRAWINGS:
        draw_attention(
            utterance, shown.tokens, shown.attention, shown.frame_rate, shown.seconds, output
        )
        click.echo(f"drawing: {output}")
    numbers = output if form in NUMBERS else output.with_suffix(".parquet")
    if form == ".json":
        write_json(numbers, attention_json(shown))
    else:
        write_table(attention_frame(shown), numbers, ATTENTION)
    click.echo(f"numbers: {numbers}")


if __name__ == "__main__":
    main()
