"""Folds, development sets, nested training orders, and the checks before any training."""
