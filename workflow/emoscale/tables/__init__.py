"""Tables: schemas, Parquet files, and digests of their content."""
