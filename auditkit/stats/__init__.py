"""Intervals, tests and corrections: pure functions, seeds as arguments."""
