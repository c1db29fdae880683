"""The configuration of a study: checked models, and the slice of it that each step sees."""

from emoscale.config.parsing import parse_settings
from emoscale.config.study import Study, parse_study

__all__ = ["Study", "parse_settings", "parse_study"]
