"""Recommenders that auditkit can load."""
