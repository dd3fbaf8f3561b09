"""Writing a catalog to a file and reading it again: draft, writers, reader and metadata."""
