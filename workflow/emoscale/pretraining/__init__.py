"""Self-supervised pre-training on unlabelled speech: wav2vec and wav2vec 2.0."""
