"""Training of recommenders of all model families with one loop; only the command line imports
it.
"""
