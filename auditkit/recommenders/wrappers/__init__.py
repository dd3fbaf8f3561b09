"""Test-time mitigations that wrap another recommender."""
