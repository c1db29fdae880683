"""Pre-trained weights: downloads with a digest check, and small untrained models for tests."""
