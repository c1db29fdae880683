"""Decode and check the recordings of unlabelled speech, and hold some of them out."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks
from emoscale.config.pretraining import SpeechSettings
from emoscale.pretraining.speech import SPEECH, check_speech, speech_summary
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import write_csv, write_table


@click.command(help=__doc__)
@click.option("--speech", required=True, help="Settings of the speech, as JSON.")
@click.option("--audio", default="{}", show_default=True, help="The study's `audio`, as JSON.")
@click.option(
    "--held-out",
    required=True,
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    help="Share of the speakers, or of the recordings of unknown speakers, that are held out.",
)
@click.option("--seed", required=True, type=int, help="Seed of the choice of held-out speech.")
@file_option("--output", "Table of usable recordings to write.")
@file_option("--rejected", "CSV table of rejected recordings to write.")
@click.option("--threads", default=1, show_default=True)
@report_user_errors
def main(
    speech: str,
    audio: str,
    held_out: float,
    seed: int,
    output: Path,
    rejected: Path,
    threads: int,
) -> None:
    settings = parse_settings(SpeechSettings, speech, "--speech")
    checks: AudioChecks = parse_settings(AudioChecks, audio, "--audio")
    recordings, rejected_rows = check_speech(settings, checks, held_out, seed, threads)
    write_table(recordings, output, SPEECH)
    write_csv(rejected_rows, rejected)
    summary = speech_summary(recordings)
    unknown = recordings["speaker"].null_count()
    speakers = f"{summary['speakers']:,}" if summary["speakers"] else "not known"
    if summary["speakers"] and unknown:
        speakers += f", and unknown ones of {unknown:,} recordings"
    click.echo(
        f"{summary['hours']:.2f} hours of speech in {summary['recordings']:,} recordings, of which "
        f"{summary['held_out_hours']:.2f} hours are held out"
    )
    click.echo(f"speakers: {speakers}")
    click.echo(f"rejected: {len(rejected_rows):,}")
    for reason, count in rejected_rows.group_by("reason").len().sort("reason").iter_rows():
        click.echo(f"  {reason}: {count}")


if __name__ == "__main__":
    main()
