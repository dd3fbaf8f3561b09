"""Items, their knowledge graph, title linking and data sets."""
