"""Classifiers of utterances, which share the interface of `emoscale.models.contract`."""
