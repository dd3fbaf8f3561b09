"""Data sets: download, MovieLens and tables of the user."""
