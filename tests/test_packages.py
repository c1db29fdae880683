"""Each package of the library imports only from the packages before it in `ORDER`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ORDER = [
    "runtime",
    "tables",
    "config",
    "audio",
    "corpus",
    "audit",
    "representations",
    "store",
    "pretraining",
    "protocol",
    "models",
    "training",
    "evaluation",
    "prediction",
    "reporting",
]
LIBRARY = Path(__file__).resolve().parent.parent / "workflow" / "emoscale"
FILES = sorted(LIBRARY.rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def package_of(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def test_every_package_is_in_the_order() -> None:
    assert {package_of(path) for path in FILES} - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_packages_import_only_from_packages_before_them(path: Path) -> None:
    package = package_of(path)
    allowed = set() if package == "__init__" else set(ORDER[: ORDER.index(package) + 1])
    imported = {
        name.split(".")[1] for name in imported_modules(path) if name.startswith("emoscale.")
    }
    assert imported <= allowed


def test_torchaudio_is_imported_by_the_guard_only() -> None:
    importing = [
        path.name
        for path in FILES
        if any(name.split(".")[0] == "torchaudio" for name in imported_modules(path))
    ]
    assert importing == []  # the guard uses importlib


def test_the_guard_is_loaded_before_transformers() -> None:
    users = [path for path in FILES if "transformers" in imported_modules(path)]
    assert users
    for path in users:
        text = path.read_text()
        assert text.index("    import_torchaudio()") < text.index("    import transformers"), path


def test_the_configuration_needs_no_torch() -> None:
    """The Snakefile imports the configuration at every start."""
    import subprocess
    import sys

    program = (
        "import sys, emoscale.config, emoscale.runtime.provenance; print('torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"
