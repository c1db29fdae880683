"""What is wrong, weak or worth knowing in a corpus, before anything is trained on it."""
