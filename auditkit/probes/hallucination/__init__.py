"""Hallucination probes."""
