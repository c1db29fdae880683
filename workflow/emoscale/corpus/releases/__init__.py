"""Published corpora, one module each; the module's name is the `reader` of the configuration."""
