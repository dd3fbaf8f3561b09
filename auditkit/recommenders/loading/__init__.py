"""From a TARGET string to a loaded recommender."""
