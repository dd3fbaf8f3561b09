"""Wrapping any recommender: protocols, adapters, prompts, and the Target that probes ask."""
