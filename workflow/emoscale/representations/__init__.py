"""Representations of speech: what a classifier is given of an utterance, frame by frame."""
