"""Probes of conversations and of assistants with tools."""
