"""Send recorded requests again: one request to compare responses, or all to another recommender."""
