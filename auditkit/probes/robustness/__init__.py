"""Probes of robustness: does a list depend on text that should not affect it?"""
