"""Execution of calls: batching, caching, checks, budgets and the target."""
