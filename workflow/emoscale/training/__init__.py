"""Training of a cell (one experiment, fold and training size): all its repeats in one process."""
