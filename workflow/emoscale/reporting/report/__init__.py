"""The report: one page that says what a study found, how sure that is, and where it came from."""
