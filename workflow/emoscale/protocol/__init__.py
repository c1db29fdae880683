"""Evaluation protocol: folds, development sets, nested training orders and checks for leakage."""
