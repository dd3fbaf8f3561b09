"""Policies: schema, rules, baselines and the decision."""
