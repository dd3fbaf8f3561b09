"""Audit of the data that a recommender is trained on, before a model is."""
