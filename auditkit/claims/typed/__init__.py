"""Claims of any domain: typed values in the clause of one item, read with a domain pack."""
