"""Differentially private training: gradients, accounting and checks, without a recipe's data."""
