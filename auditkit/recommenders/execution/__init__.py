"""Execution of calls to a recommender: batching, caching, checks, budgets and the Target."""
