"""Recommenders of several stages, such as retrieval followed by re-ranking."""
