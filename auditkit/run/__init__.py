"""Execution of one audit, from recipe to result: options, data, runner, dry run and pilot."""
