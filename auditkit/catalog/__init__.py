"""Items, their knowledge graph, title linking, and the data sets that need no hub."""
