"""From a corpus as it is delivered to the utterance table."""
