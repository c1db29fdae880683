"""Trains all repeats of a cell (one experiment, fold and training size) in one process."""
