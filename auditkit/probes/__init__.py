"""Probes: each calls the target, computes metrics and yields findings.

Probes only measure; a policy decides whether a result passes or fails.
"""
