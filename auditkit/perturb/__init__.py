"""Edits of requests: text, Unicode, order. Each knows what it may not touch."""
