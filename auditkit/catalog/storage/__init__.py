"""The built catalog file: draft, writers, reader and metadata."""
