"""The knowledge graph: schema, stores, values and claim evaluation."""
