"""Digests that say where a number came from: configuration, code, inputs, versions."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emoscale import __version__
from emoscale.runtime.errors import ConfigurationError

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

PACKAGE = Path(__file__).resolve().parents[1]


def canonical_json(value: Any) -> str:
    """One spelling for equal values: sorted keys, no spaces, no NaN.

    >>> canonical_json({"b": 1, "a": [1.0, None]})
    '{"a":[1.0,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """sha256 (hex) of the canonical JSON of `value`."""
    # surrogateescape: a file name need not be UTF-8
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogateescape")).hexdigest()


def file_sha256(path: Path | str) -> str:
    """sha256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(*sources: Path | str) -> str:
    """Digest of the meaning of the given Python files and of every emoscale module they import.

    A source is a path or the dotted name of an emoscale module; a path may lie elsewhere. Imports
    are followed wherever they stand in a file. Comments, docstrings and layout do not count; a
    changed statement does.
    """
    found: dict[str, str] = {}
    waiting = [_path_of(source) for source in sources]
    while waiting:
        path = waiting.pop()
        name = _name_of(path)
        if name in found:
            continue
        found[name], imported = _meaning(path, path.stat().st_mtime_ns)
        waiting.extend(imported)
    return digest(found)


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Installed versions of `names`, of this project and of Python itself."""
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), "emoscale": __version__, **versions}


def _path_of(source: Path | str) -> Path:
    if isinstance(source, Path) or source.endswith(".py"):
        return Path(source)
    path = _module_path(source)
    if path is None:
        raise FileNotFoundError(f"no emoscale module is named {source}")
    return path


def _module_path(name: str) -> Path | None:
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*parts[1:])
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    if (base / "__init__.py").is_file():
        return base / "__init__.py"
    return None


def _name_of(path: Path) -> str:
    path = path.resolve()
    if path.is_relative_to(PACKAGE):
        return str(path.relative_to(PACKAGE))
    # Not where it lies, which may change; and never a name of the package's own.
    return f"{path.parent.name}/{path.name}" if path.parent.name == "scripts" else f"/{path.name}"


@functools.cache
def _meaning(path: Path, _modified: int) -> tuple[str, tuple[Path, ...]]:
    """Digest of a file's syntax tree without docstrings, and the emoscale files it imports."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not Python that can be read: {error}") from None
    imported: set[Path] = set()
    for node in ast.walk(tree):
        imported.update(_imports_of(node, path))
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    text = ast.dump(tree, annotate_fields=False, include_attributes=False)
    return hashlib.sha256(text.encode()).hexdigest(), tuple(sorted(imported))


def _imports_of(node: ast.AST, path: Path) -> Iterable[Path]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        if node.level and not path.is_relative_to(PACKAGE):
            return  # a user's own package: its other files do not count
        if node.level:
            raise SyntaxError(f"{path}: relative imports are not followed; write the full name")
        module = node.module or ""
        names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):  # a package's __init__ runs too
            found = _module_path(".".join(parts[:length]))
            if found is not None:
                yield found
