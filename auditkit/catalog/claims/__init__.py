"""Facts that a text states about catalog items, read by rules and decided by the graph."""

from auditkit.catalog.claims.reader import Claim, ClaimReader, Reading

__all__ = ["Claim", "ClaimReader", "Reading"]
