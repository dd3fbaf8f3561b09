"""Commands about recorded runs: compare two, and ask recorded requests again."""
