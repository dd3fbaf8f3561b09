"""Differentially private training: gradients, accounting and checks, independent of recipes."""
