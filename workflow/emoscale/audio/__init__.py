"""Audio: decoding, resampling, validation, speech level, and perturbations of test audio."""
