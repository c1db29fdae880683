"""Generate the synthetic demo corpus in IEMOCAP's layout."""

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import DemoCorpus
from emoscale.corpus.demo.release import generate_demo
from emoscale.runtime.command import corpus_option, report_user_errors


@click.command(help=__doc__)
@corpus_option
@report_user_errors
def main(corpus: str) -> None:
    settings: DemoCorpus = parse_settings(DemoCorpus, corpus, "--corpus")
    count = generate_demo(settings)
    click.echo(f"{settings.root}: {count} synthetic utterances")


if __name__ == "__main__":
    main()
