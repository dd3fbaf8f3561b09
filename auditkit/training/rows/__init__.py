"""Training rows: tasks turn sampled histories and items into texts and tokens."""
