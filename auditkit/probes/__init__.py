"""Probes: each calls the target, computes metrics and yields findings.

Probes only measure; pass or fail is decided by a policy.
"""
