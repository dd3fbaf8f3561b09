"""Probes of privacy: the privacy claim, and attacks that test it."""
