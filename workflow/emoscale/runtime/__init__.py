"""Utilities for every step: errors, atomic files, progress, devices, memory and provenance."""
