"""Domain packs: the words for the items of a catalog, and how texts state their facts."""
