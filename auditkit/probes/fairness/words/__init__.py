"""Counterfactual fairness of texts: length, tone and facts of stated reasons."""
