"""Probes of explanations: what moved a recommendation, and whether stated reasons are true."""
