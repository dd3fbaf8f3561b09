"""Training of recommenders of every family with one loop; imported only by the command line."""
