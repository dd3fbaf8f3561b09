"""What was found, in sentences for readers who do not know the metrics."""
