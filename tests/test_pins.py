"""Versions are pinned once, and every environment uses the same pins."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement


def load_script(project: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, project / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_conda_environment_has_the_same_pins(project: Path) -> None:
    script = load_script(project, "pin_environment")
    assert (project / "envs" / "workflow.yaml").read_text() == script.environment(), "make schema"


def test_every_dependency_is_pinned_exactly(project: Path) -> None:
    pinned = load_script(project, "pin_environment").pinned_versions()
    meta = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    requirements = list(meta["dependencies"])
    for extra in meta["optional-dependencies"].values():
        requirements += extra
    for requirement in map(Requirement, requirements):
        if requirement.name == meta["name"]:  # an extra that names another extra
            continue
        assert re.fullmatch(r"[\w.]+", pinned[requirement.name])
        assert requirement.specifier.contains(pinned[requirement.name])
    assert pinned["torch"] == "2.13.0"


def test_no_file_names_a_registry_or_a_local_path(project: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=False
    )
    names = [name for name in listed.stdout.split("\0") if name] or [
        str(path.relative_to(project))
        for path in (project / "envs").iterdir()  # an unpacked archive has no git
    ]
    # Concatenated, because this file is searched as well.
    fragments = ["find-" + "links", "index-" + "url", "/root" + "/", "/work" + "/", "file:" + "//"]
    forbidden = re.compile("|".join(fragments))
    for name in names:
        text = (project / name).read_text(encoding="utf-8", errors="replace")
        assert not forbidden.search(text), name
