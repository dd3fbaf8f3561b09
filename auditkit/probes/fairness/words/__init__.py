"""Counterfactual fairness of texts: length, tone and facts of the reasons that users get."""
