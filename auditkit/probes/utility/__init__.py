"""Utility probes."""
