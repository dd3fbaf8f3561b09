"""Pages about more than one run: a comparison of two, and the history of many."""
