"""Write workflow/schemas/study.schema.json, the JSON schema of the configuration, for editors."""

import json
from pathlib import Path

import click

from emoscale.config import Study

PATH = Path(__file__).resolve().parent.parent / "workflow" / "schemas" / "study.schema.json"


def schema_text() -> str:
    """Return the JSON schema of the configuration."""
    return json.dumps(Study.model_json_schema(), indent=2, sort_keys=True) + "\n"


@click.command(help=__doc__)
def main() -> None:
    PATH.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
