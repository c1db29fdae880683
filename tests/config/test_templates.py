"""Configurations with YTE templates, which Snakemake would execute, are refused in any spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emoscale.config.configuration_file import read_configuration_file
from emoscale.runtime.errors import ConfigurationError

TEMPLATES = {
    "plain": "__use_yte__: true\n",
    "escaped": '"\\x5f_use_yte__": true\n',
    "as an alias": "name: &key __use_yte__\n*key : true\n",
    "merged": "part: &part {__use_yte__: true}\n<<: *part\n",
    "merged at once": "<<: {__use_yte__: true}\n",
    "merged from a list": "<<: [{a: 1}, {__use_yte__: true}]\n",
    "tagged": "!!str __use_yte__: true\n",
    "complex": "? __use_yte__\n: true\n",
    "JSON": '{"__use_yte__": true}',
    "JSON after a byte order mark": '\ufeff{"__use_yte__": true}',
}


@pytest.mark.parametrize("text", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"__use_yte__ makes Snakemake execute"):
        read_configuration_file(path)


def test_the_key_is_allowed_below_the_top_level(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("part: {__use_yte__: true}\n")
    assert read_configuration_file(path) == {"part": {"__use_yte__": True}}


TOKENS = (
    "__use_yte__",
    '"\\x5f_use_yte__"',
    "&a ",
    "*a ",
    "<<",
    ": ",
    ": *a\n",
    ": true\n",
    "? ",
    "\n",
    "\n  ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "- ",
    "!!str ",
    "x",
    "--- ",
    "\ufeff",
    "'",
    '"',
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@example(tokens=["? ", "\n", "\ufeff"])
@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=14))
def test_accepted_files_are_no_templates_to_snakemake(tmp_path: Path, tokens: list[str]) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("".join(tokens), encoding="utf-8")
    try:
        read_configuration_file(path)
    except ConfigurationError:
        return
    with open(path, encoding="utf-8") as file:
        try:
            snakemake_config = yaml.load(file, Loader=yaml.FullLoader)
        except yaml.YAMLError:  # the C parser refuses a byte order mark within the text
            return
    assert "__use_yte__" not in snakemake_config
