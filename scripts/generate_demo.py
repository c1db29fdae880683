"""Generate the synthetic demo corpus in IEMOCAP's layout."""

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import DemoCorpus
from emoscale.corpus.demo.release import generate_demo
from emoscale.runtime.command import shows_sentences


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The study's `corpus`, as JSON.")
@shows_sentences
def main(settings: str) -> None:
    corpus: DemoCorpus = parse_settings(DemoCorpus, settings, "--settings")
    count = generate_demo(corpus)
    click.echo(f"{corpus.root}: {count} synthetic utterances")


if __name__ == "__main__":
    main()
