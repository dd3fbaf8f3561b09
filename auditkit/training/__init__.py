"""One loop that trains every family of recommender; only the command line imports it."""
