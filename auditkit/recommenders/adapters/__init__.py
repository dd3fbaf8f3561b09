"""Adapters for the kinds of recommenders that auditkit can load."""
