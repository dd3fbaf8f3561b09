"""Prompt templates, their tokens and the parsing of responses."""
