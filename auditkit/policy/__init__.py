"""Policies: schema, rules, baselines and the decision of the gate."""
