"""The hash-chained run log, and the manifest of a run folder."""
