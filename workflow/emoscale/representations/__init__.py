"""Speech and text representations: the feature vectors of each utterance that models read."""
