"""Corpus readers, the checks of recordings, and the utterance table."""
