"""Loading of the recommender that a TARGET string names."""
