"""Probes of pipelines of several stages."""
