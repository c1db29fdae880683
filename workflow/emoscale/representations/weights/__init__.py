"""Pre-trained weights by name and address: downloaded once, checked, or made for a trial."""
