"""MkDocs hook: reference pages that are generated from the code when the site is built."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
LIBRARY = PROJECT / "workflow" / "emoscale"
PACKAGES = {
    "runtime": "Errors, files, devices, progress, provenance",
    "tables": "Schemas and files of tables",
    "config": "Configuration",
    "audio": "Recordings and perturbations",
    "corpus": "Corpus readers",
    "audit": "Audit of a corpus",
    "representations": "Representations of speech",
    "store": "Feature store",
    "pretraining": "Self-supervised pre-training",
    "protocol": "Folds and training orders",
    "models": "Classifiers",
    "training": "Training",
    "evaluation": "Scores, comparisons, label efficiency",
    "prediction": "Predictions of new recordings",
    "reporting": "Figures and report",
}
# A table's file below results/<study>/, and where its schema is.
TABLES = {
    "corpus/utterances": "emoscale.tables.schemas:UTTERANCES",
    "corpus/rejected": "emoscale.tables.schemas:REJECTED",
    "corpus/texts": "emoscale.tables.schemas:TEXTS",
    "corpus/acoustics": "emoscale.audit.acoustics:ACOUSTICS",
    "corpus/audit": "emoscale.audit.finding:AUDIT",
    "corpus/same_recordings": "emoscale.audit.duplicates:DUPLICATE_PAIRS",
    "checkpoints/<name>/speech": "emoscale.pretraining.speech:SPEECH",
    "protocol/<fold>": "emoscale.tables.schemas:fold_schema",
    "features/<representation>/index": "emoscale.tables.schemas:FEATURE_INDEX",
    "features/<representation>/speakers": "emoscale.tables.schemas:SPEAKER_STATISTICS",
    "runs/<experiment>/<fold>/<size>/predictions": "emoscale.tables.schemas:predictions_schema",
    "runs/<experiment>/<fold>/<size>/history": "emoscale.tables.schemas:HISTORY",
    "tables/scores": "emoscale.evaluation.scores:scores_schema",
    "tables/runs": "emoscale.evaluation.runs:runs_schema",
    "tables/trials": "emoscale.evaluation.trials:TRIALS",
    "tables/layer_weights": "emoscale.evaluation.layer_weights:LAYER_WEIGHTS",
    "tables/confusion": "emoscale.evaluation.scores:CONFUSION",
    "tables/confusion_by_speaker": "emoscale.evaluation.scores:CONFUSION_BY_SPEAKER",
    "tables/predictions": "emoscale.evaluation.runs:study_predictions_schema",
    "tables/comparisons": "emoscale.evaluation.comparisons:COMPARISONS",
    "tables/comparisons_by_size": "emoscale.evaluation.comparisons:COMPARISONS_BY_SIZE",
    "tables/efficiency": "emoscale.evaluation.efficiency:EFFICIENCY",
    "tables/forecast": "emoscale.evaluation.forecast:FORECAST",
    "tables/published": "emoscale.evaluation.published:PUBLISHED_TABLE",
    "tables/slices": "emoscale.evaluation.slices:SLICES",
    "tables/slice_gaps": "emoscale.evaluation.slices:SLICE_GAPS",
    "tables/corpus_pairs": "emoscale.evaluation.corpus_pairs:CORPUS_PAIRS",
    "tables/ceiling": "emoscale.evaluation.ceiling:CEILING",
    "tables/pretraining": "emoscale.pretraining.history:HISTORY",
    "tables/robustness": "emoscale.evaluation.robustness:ROBUSTNESS",
}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site's files."""
    from mkdocs.structure.files import File

    sys.path[:0] = [str(PROJECT / "workflow"), str(PROJECT / "scripts")]
    pages = {
        "reference/configuration.md": configuration_page(),
        "reference/corpora.md": corpora_page(),
        "reference/tables.md": tables_page(),
        "reference/programs.md": programs_page(),
        "engineers/contributing.md": project_page("CONTRIBUTING.md"),
        "engineers/changelog.md": project_page("CHANGELOG.md"),
        **{f"reference/library/{name}.md": library_page(name) for name in PACKAGES},
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Show numpydoc's references, such as [1]_, as they are read."""
    if page.file.src_uri.startswith("reference/library/"):
        html = re.sub(r"\[(\d+)\]_", r"[\1]", html)
        html = re.sub(r"\.\. \[(\d+)\]", r"[\1]", html)
    return html


def project_page(name: str) -> str:
    """Return a file of the project's folder, with links that fit the site."""
    return (PROJECT / name).read_text(encoding="utf-8").replace("](docs/", "](../")


def configuration_page() -> str:
    """Return every key of the configuration with its type, default and meaning."""
    from emoscale.config import Study
    from emoscale.config.settings import Settings

    schema = Study.model_json_schema()
    parts = schema["$defs"]
    models = {model.__name__: model for model in subclasses(Settings)}
    for name, part in [("Study", schema), *parts.items()]:
        for key, value in part.get("properties", {}).items() if name in models else ():
            field = models[name].model_fields[key]
            if field.default_factory is not None:  # which the schema does not state
                value["default"] = field.get_default(call_default_factory=True)
            if key in ("kind", "reader") and "const" in value:
                value["description"] = f"Selects this {key}."
    lines = [
        "# Configuration",
        "",
        "A study is one YAML file, checked before anything runs. An unknown key, or one of an "
        "earlier version, ends in a sentence with the line of the file and the key that was "
        "probably meant. A key without a default must be given.",
        "",
        "## The file",
        "",
        *key_table(schema, parts),
    ]
    for name in reachable(schema, parts):
        part = parts[name]
        lines += ["", f"## {name}", "", part.get("description", ""), "", *key_table(part, parts)]
    return "\n".join(lines) + "\n"


def subclasses(model: Any) -> Iterator[Any]:
    """Yield all classes that derive from a class."""
    for subclass in model.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def reachable(schema: dict[str, Any], parts: dict[str, Any]) -> list[str]:
    """Return the names of the parts of a schema in the order in which its keys name them."""
    names: dict[str, None] = {}
    queue = [schema]
    while queue:
        for name in references(queue.pop(0)):
            if name not in names and "properties" in parts[name]:
                names[name] = None
                queue.append(parts[name])
    return list(names)


def references(value: Any) -> Iterator[str]:
    """Yield the names of the parts that a piece of a schema refers to, in order."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for key, each in value.items():
            if key not in ("$defs", "discriminator"):
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def key_table(part: dict[str, Any], parts: dict[str, Any]) -> list[str]:
    """Return a Markdown table of the keys of one part of the configuration."""
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = part.get("required", ())
    for key, value in part.get("properties", {}).items():
        default = "" if key in required else f"`{plain(value.get('default'))}`"
        meaning = cell(value.get("description", ""))
        rows.append(f"| `{key}` | {cell(type_of(value, parts))} | {default} | {meaning} |")
    return rows


def type_of(value: dict[str, Any], parts: dict[str, Any]) -> str:
    """Return the type of a value in words, with links to the parts that it may be."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        known = "properties" in parts[name]
        return f"[{name}](#{name.lower()})" if known else type_of(parts[name], parts)
    for many in ("anyOf", "oneOf"):
        if many in value:
            return " or ".join(dict.fromkeys(type_of(each, parts) for each in value[many]))
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if value.get("type") == "array":
        if "prefixItems" in value:
            return "[" + ", ".join(type_of(each, parts) for each in value["prefixItems"]) + "]"
        return f"list of {type_of(value.get('items', {}), parts)}"
    if value.get("type") == "object":
        inner = value.get("additionalProperties")
        for each in value.get("patternProperties", {}).values():
            inner = each
        return f"name: {type_of(inner, parts)}" if isinstance(inner, dict) else "name: value"
    limits = [
        f"{sign} {value[key]}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in value and abs(value[key]) < 1e9
    ]
    word = {"string": "text", "boolean": "true, false"}.get(value.get("type", ""))
    return " ".join([word or value.get("type", "any value"), *limits])


def plain(value: Any) -> str:
    """Return a default as YAML would have it."""
    import yaml

    if isinstance(value, dict) and len(str(value)) > 60:
        return "{…}"
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def cell(text: str) -> str:
    """Return text for a cell of a Markdown table."""
    spans = text.replace("|", "\\|").split("`")  # every other one is code
    spans[::2] = [span.replace("<", "&lt;") for span in spans[::2]]
    return " ".join("`".join(spans).split())


def corpora_page() -> str:
    """Return the published corpora that have a reader."""
    from emoscale.config.corpus import RELEASES

    lines = [
        "# Published corpora",
        "",
        "`corpus: {reader: <reader>, root: <folder>}` reads a copy of one of these corpora. Where "
        "its utterances have several labels, `label` chooses one. A copy with other counts is "
        "read, and `corpus/rejected.csv` says what is missing. Emotions have the same names in all "
        "corpora (anger, happiness, sadness …), but for the codes of IEMOCAP and BAVED's levels. "
        "[Another corpus](../tutorials/own-corpus.md) needs a table or a short module.",
        "",
        "| corpus | `reader` | language | utterances | speakers | `label` | emotions | files |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in RELEASES:
        release = importlib.import_module(f"emoscale.corpus.releases.{name}").RELEASE
        row = (
            f"[{release.name}](library/corpus.md#emoscale.corpus.releases.{name})",
            f"`{name}`",
            release.language or "several",
            f"{sum(release.counts.values()):,}" if release.counts else "",
            str(release.speakers or ""),
            ", ".join(release.labels),
            ", ".join(f"{emotion} {count:,}" for emotion, count in release.counts.items()),
            release.layout,
        )
        lines.append(f"| {' | '.join(map(cell, row))} |")
    return "\n".join(lines) + "\n"


def tables_page() -> str:
    """Return every table of a study with the meaning of its columns."""
    lines = [
        "# Tables",
        "",
        "Each table below is a Parquet file in `results/<study>/`, with these meanings in its "
        "schema; most have a CSV file beside them. *null* in a meaning says when a value is "
        "missing.",
    ]
    for name, source in TABLES.items():
        module_name, _, attribute = source.partition(":")
        module = importlib.import_module(module_name)
        schema = getattr(module, attribute)
        about = attribute_docs(module).get(attribute, "")
        if callable(schema):
            summary = (schema.__doc__ or "").strip().partition("\n")[0]
            about = summary.removeprefix("Return the schema of ").capitalize()
            schema = schema(2) if attribute == "fold_schema" else schema(["<class>"])
        lines += ["", f"## {name}", "", about, "", "| column | type | meaning |", "|---|---|---|"]
        for field in schema:
            meaning = (field.metadata or {}).get(b"meaning", b"").decode()
            lines.append(f"| `{field.name}` | {cell(str(field.type))} | {cell(meaning)} |")
    return "\n".join(lines) + "\n"


def attribute_docs(module: Any) -> dict[str, str]:
    """Return the texts that stand below a module's constants."""
    body = ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
    docs = {}
    for statement, after in pairwise(body):
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            docs[statement.targets[0].id] = str(after.value.value)
    return docs


def programs_page() -> str:
    """Return the help of every program in scripts/."""
    import click

    lines = [
        "# Programs",
        "",
        "The programs in `scripts/`. The workflow's rules call most of them, one for each step, "
        "and log the command; each also runs by hand. `predict.py`, `draw_attention.py`, "
        "`verify.py`, `clean.py` and `show_results.py` are for users.",
    ]
    for path in sorted((PROJECT / "scripts").glob("*.py")):
        if path.name == "fairseq_backend.py":  # runs in fairseq's own Python
            continue
        spec = importlib.util.spec_from_file_location(f"program_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        context = click.Context(module.main, info_name=path.name, max_content_width=96)
        lines += ["", f"## {path.name}", "", "```text", module.main.get_help(context), "```"]
    return "\n".join(lines) + "\n"


def library_page(package: str) -> str:
    """Return the reference of one package of the library."""
    lines = [f"# emoscale.{package}", "", f"{PACKAGES[package]}."]
    for path in sorted((LIBRARY / package).rglob("*.py")):
        if path.name != "__init__.py":
            name = ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)
            lines += ["", f"::: {name}", "    options:", "      heading_level: 2"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":  # to look at a page: python docs/generated_pages.py configuration
    os.chdir(PROJECT)
    sys.path[:0] = [str(PROJECT / "workflow"), str(PROJECT / "scripts")]
    print(globals()[f"{sys.argv[1]}_page"]())
