"""Metrics as pure functions that take arrays and return numbers or estimates."""
