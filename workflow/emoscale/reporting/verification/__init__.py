"""Whether the files of a results folder are what they say."""
