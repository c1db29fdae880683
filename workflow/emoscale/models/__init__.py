"""Classifiers of utterances; all speak one contract."""
