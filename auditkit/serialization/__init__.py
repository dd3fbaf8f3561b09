"""Canonical JSON, atomic files and the strict YAML reader."""
