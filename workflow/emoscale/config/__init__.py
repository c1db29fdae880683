"""The configuration of a study: validated, with the part that each step depends on."""

from emoscale.config.parsing import parse_settings
from emoscale.config.study import Study, parse_study

__all__ = ["Study", "parse_settings", "parse_study"]
