"""Ask recorded requests again: one to see what changed, or all from another recommender."""
