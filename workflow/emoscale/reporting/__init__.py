"""Figures, the report page of a study, and the verification of its results."""
