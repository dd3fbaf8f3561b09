"""Counterfactual fairness: one request, asked with another phrase for the person."""
