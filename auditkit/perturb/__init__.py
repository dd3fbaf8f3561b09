"""Perturbations of the text of requests, which leave item slots unchanged."""
