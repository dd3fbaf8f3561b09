"""Escaping of untrusted text, redaction of secrets and the network guard."""
