"""Comparison of verified run folders: two of them in pairs, or many in order of time."""
