"""Checks a study's results, file by file, against the digests that they carry of one another."""
