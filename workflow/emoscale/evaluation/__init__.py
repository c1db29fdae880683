"""Evaluation: from predictions to tables of scores, comparisons and forecasts."""
