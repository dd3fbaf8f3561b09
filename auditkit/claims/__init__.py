"""Facts that a text states about catalog items: read by rules, decided by the graph."""
