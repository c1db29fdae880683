"""Generate synthetic speech without labels, for pre-training."""

import click

from emoscale.config import parse_settings
from emoscale.config.pretraining import DemoSpeech
from emoscale.corpus.demo.unlabelled import generate_speech
from emoscale.runtime.command import report_user_errors


@click.command(help=__doc__)
@click.option("--speech", required=True, help="Settings of the speech, as JSON.")
@report_user_errors
def main(speech: str) -> None:
    settings: DemoSpeech = parse_settings(DemoSpeech, speech, "--speech")
    count = generate_speech(settings)
    click.echo(f"{settings.root}: {count} synthetic utterances")


if __name__ == "__main__":
    main()
