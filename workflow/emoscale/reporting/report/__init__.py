"""The report: one HTML page with the results of a study, their uncertainty and their provenance."""
