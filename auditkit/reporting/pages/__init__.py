"""HTML pages besides the report: comparison of two runs, history of runs, and an explanation."""
