"""Audit of training data, before a recommender is trained on them."""
