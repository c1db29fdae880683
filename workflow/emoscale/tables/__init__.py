"""Schemas of all tables, Parquet files and their digests."""
