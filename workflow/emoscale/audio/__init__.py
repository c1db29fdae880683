"""Recordings: decoding, resampling, checks, speech level, and perturbations."""
