"""Probes measure: each asks the target, computes metrics and yields findings. Policies judge, never
probes.
"""
