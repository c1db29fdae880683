"""Trained models applied to new recordings."""
