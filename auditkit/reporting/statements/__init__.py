"""Results as sentences for readers who do not know the metrics."""
