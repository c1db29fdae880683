"""Former names and words of the project do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
CODE = sorted(
    path
    for folder in ("workflow/emoscale", "scripts", "tests", "benchmarks", "docs")
    for path in (PROJECT / folder).rglob("*.py")
)
DOCUMENTS = sorted(
    [
        *PROJECT.glob("*.md"),
        *(PROJECT / "docs").rglob("*.md"),
        *(PROJECT / "config").iterdir(),
        *(PROJECT / "profiles").rglob("*.yaml"),
        *(PROJECT / "workflow" / "rules").iterdir(),
    ]
)

FORMER_NAMES = re.compile(
    r"\b(silence_peak|largest_peak|stored_type|leave_out_unmatched|development_share"
    r"|batch_utterances|wanted_ua|utterances_in_windows|ua_repeat_deviation|ua_fold_deviation"
    r"|draws_left_out|clipped_share|silence_share|later_seconds|told_\d)\b"
)
"""Keys and columns of earlier versions that no other thing is called."""

IDENTIFIER_WORDS = {
    *("told", "heard", "kept", "said", "says", "asked", "wanted", "given", "found", "own"),
    *("there", "tried", "taken", "made", "done", "drawn", "place", "places", "room", "material"),
    *("spread", "strength", "strengths", "piece", "pieces", "stretch", "stretches", "stamp"),
    *("stamps", "guess", "guesses", "apart", "beside", "dealt", "sealed", "straying"),
}
"""Words of identifiers that say nothing, or have several meanings; the glossary has better ones."""

PHRASES = re.compile(
    r"\b(told|heard|way out|mends?|mended|strengths|lies beside|stands? beside|taken up"
    r"|an? (row|line|file|vector|figure|digest|job|token|frame|shard|panel|column|step) an?"
    r" (row|line|file|vector|figure|digest|job|token|frame|shard|panel|column|step|experiment"
    r"|utterance|repeat|fold|cell|study|class|representation|second|stage))\b",
    flags=re.IGNORECASE,
)
"""Wordings that were hard to read: a row an experiment is one row per experiment."""

EXCEPTIONS = {
    "CHANGELOG.md": "lists the former names",
    "tests/test_words.py": "lists them, too",
}
FORMER_KEYS_IN = "workflow/emoscale/config"
"""There, former keys lead to an error with the new one; their texts are checked all the same."""


def is_exempt(path: Path) -> bool:
    return str(path.relative_to(PROJECT)).startswith(tuple(EXCEPTIONS))


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module defines; a test's name is a sentence."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if not node.name.startswith("test_"):
                yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield docstrings, and the texts below constants and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_identifiers_and_docstrings(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    words = {
        word.lower(): name
        for name in identifiers(tree)
        for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    }
    assert not {words[word] for word in IDENTIFIER_WORDS & set(words)}
    if is_exempt(path):
        return
    checked = "\n".join([*identifiers(tree), *texts(tree)])
    assert not FORMER_NAMES.findall(checked if FORMER_KEYS_IN in str(path.parent) else source)
    assert not [match[0] for text in texts(tree) for match in PHRASES.finditer(text)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_documents(path: Path) -> None:
    if not is_exempt(path):
        text = path.read_text(encoding="utf-8")
        assert not FORMER_NAMES.findall(text)
        assert not [match[0] for match in PHRASES.finditer(text)]


@pytest.mark.parametrize("path", sorted(PROJECT.glob("*.md")), ids=name_of)
def test_links_outside_the_site(path: Path) -> None:
    """The documentation's build checks the links in docs/."""
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if ":" not in link and not (PROJECT / link).exists()] == []
