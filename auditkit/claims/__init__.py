"""Rule-based extraction of claims about catalog items, verified against the knowledge graph."""
