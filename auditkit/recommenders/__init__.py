"""Wrapping any recommender: protocols, adapters, prompts, and the Target to which probes send
requests.
"""
