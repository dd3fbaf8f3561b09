"""Training rows: samples of histories and items, made into texts and tokens by tasks."""
