"""Write envs/workflow.yaml from pyproject.toml and envs/constraints.txt, so that both pin alike."""

import tomllib
from pathlib import Path

import click
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parent.parent
PYTHON = "3.11"
HEADER = f"""\
# Written by scripts/pin_environment.py from pyproject.toml and envs/constraints.txt: change those.
# The versions are the tested ones of the Python package index, so they are installed by pip.
name: emoscale
channels:
  - conda-forge
dependencies:
  - python={PYTHON}
  - pip
  - pip:
"""


def environment() -> str:
    """The conda environment's text."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["demo"]]
    pins = pinned_versions()
    lines = [
        f"      - {name}=={pins[name]}\n" for name in sorted(Requirement(w).name for w in wanted)
    ]
    return HEADER + "".join(lines)


def pinned_versions() -> dict[str, str]:
    """Version of each package for the conda environment's Python."""
    versions: dict[str, str] = {}
    for line in (PROJECT / "envs" / "constraints.txt").read_text().splitlines():
        requirement = Requirement(line)
        here = {"python_full_version": f"{PYTHON}.0", "python_version": PYTHON}
        if requirement.marker is None or requirement.marker.evaluate(here):
            versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


@click.command(help=__doc__)
def main() -> None:
    (PROJECT / "envs" / "workflow.yaml").write_text(environment())


if __name__ == "__main__":
    main()
