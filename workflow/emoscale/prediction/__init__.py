"""Predictions of trained models for new and for perturbed recordings."""
