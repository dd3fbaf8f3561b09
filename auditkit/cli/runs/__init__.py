"""Commands on recorded runs: compare two runs, and send recorded requests again."""
