"""Audit of a corpus before training: errors and weaknesses of its labels, speakers and audio."""
