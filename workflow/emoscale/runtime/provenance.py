"""Digests of configuration, code and inputs, and versions: where a number comes from."""

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

_NODES_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

PACKAGE = Path(__file__).resolve().parents[1]
"""Folder of the emoscale package."""


def canonical_json(value: Any) -> str:
    """Return the canonical JSON text of a value: sorted keys, no spaces, no NaN.

    Parameters
    ----------
    value : Any
        A value that JSON can represent.

    Returns
    -------
    str
        The same text for equal values.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [1.0, None]})
    '{"a":[1.0,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """Return the SHA-256 digest of a value's canonical JSON text.

    Parameters
    ----------
    value : Any
        A value that JSON can represent.

    Returns
    -------
    str
        Digest, hexadecimal.
    """
    # surrogateescape: a file name need not be UTF-8
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogateescape")).hexdigest()


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 digest of a file's content.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    str
        Digest, hexadecimal.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(*sources: Path | str) -> str:
    """Return a digest of Python files and of every emoscale module that they import.

    Imports are followed wherever they occur in a file. Comments, docstrings and formatting do not
    change the digest; a changed statement does.

    Parameters
    ----------
    *sources : Path or str
        Paths, also outside the package, or dotted names of emoscale modules.

    Returns
    -------
    str
        Digest, hexadecimal.

    Raises
    ------
    ConfigurationError
        If a file is not valid Python.
    """
    return digest(source_digests(*sources))


def source_digests(*sources: Path | str) -> dict[str, str]:
    """Return the digest of each file that `code_digest` covers.

    Parameters
    ----------
    *sources : Path or str
        Paths, also outside the package, or dotted names of emoscale modules.

    Returns
    -------
    dict of str to str
        Digest of the file's statements by its name; a module's name is its path within the package.

    Raises
    ------
    ConfigurationError
        If a file is not valid Python.
    """
    digests: dict[str, str] = {}
    pending = [_source_path(source) for source in sources]
    while pending:
        path = pending.pop()
        name = _source_name(path)
        if name in digests:
            continue
        digests[name], imported = _parse_source(path, path.stat().st_mtime_ns)
        pending.extend(imported)
    return digests


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of packages, of this project and of Python.

    Parameters
    ----------
    names : iterable of str
        Names of distributions.

    Returns
    -------
    dict of str to str
        Version by name, with the additional names "python" and "emoscale".
    """
    versions = installed_versions(names)
    return {"python": platform.python_version(), "emoscale": __version__, **versions}


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of packages.

    Parameters
    ----------
    names : iterable of str
        Names of distributions.

    Returns
    -------
    dict of str to str
        Version by name.
    """
    return {name: importlib.metadata.version(name) for name in names}


def _source_path(source: Path | str) -> Path:
    if isinstance(source, Path) or source.endswith(".py"):
        return Path(source)
    path = _module_path(source)
    if path is None:
        raise FileNotFoundError(f"no emoscale module is named {source}")
    return path


def _module_path(name: str) -> Path | None:
    """File of an emoscale module; None for any other name."""
    components = name.split(".")
    if components[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*components[1:])
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    if (base / "__init__.py").is_file():
        return base / "__init__.py"
    return None


@functools.cache  # planning a study asks for each name hundreds of times
def _source_name(path: Path) -> str:
    path = path.resolve()
    if path.is_relative_to(PACKAGE):
        return str(path.relative_to(PACKAGE))
    # Without the folder, which may change, and different from all names within the package.
    return f"{path.parent.name}/{path.name}" if path.parent.name == "scripts" else f"/{path.name}"


@functools.cache
def _parse_source(path: Path, _modified: int) -> tuple[str, tuple[Path, ...]]:
    """Digest of a file's syntax tree without docstrings, and the emoscale files it imports."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid Python: {error}") from None
    imported: set[Path] = set()
    for node in ast.walk(tree):
        imported.update(_imported_files(node, path))
        if (
            isinstance(node, _NODES_WITH_DOCSTRING)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    text = ast.dump(tree, annotate_fields=False, include_attributes=False)
    return hashlib.sha256(text.encode()).hexdigest(), tuple(sorted(imported))


def _imported_files(node: ast.AST, path: Path) -> Iterable[Path]:
    """Emoscale files that an import statement executes; nothing for other nodes."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        if node.level and not path.is_relative_to(PACKAGE):
            return  # the other files of a user's package are not part of the digest
        if node.level:
            raise SyntaxError(f"{path}: relative imports are not followed; write the full name")
        module = node.module or ""
        names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
    for name in names:
        components = name.split(".")
        for length in range(1, len(components) + 1):  # a package's __init__ is executed as well
            file = _module_path(".".join(components[:length]))
            if file is not None:
                yield file
