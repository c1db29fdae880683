"""Write envs/workflow.yaml from pyproject.toml and envs/constraints.txt, with the same versions."""

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
    """Return the text of the conda environment."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["demo"]]
    pins = pinned_versions()
    lines = [
        f"      - {name}=={pins[name]}\n" for name in sorted(Requirement(w).name for w in required)
    ]
    return HEADER + "".join(lines)


def pinned_versions() -> dict[str, str]:
    """Return the version of each package for the Python of the conda environment."""
    versions: dict[str, str] = {}
    for line in (PROJECT / "envs" / "constraints.txt").read_text().splitlines():
        requirement = Requirement(line)
        environment = {"python_full_version": f"{PYTHON}.0", "python_version": PYTHON}
        if requirement.marker is None or requirement.marker.evaluate(environment):
            versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


@click.command(help=__doc__)
def main() -> None:
    (PROJECT / "envs" / "workflow.yaml").write_text(environment())


if __name__ == "__main__":
    main()
