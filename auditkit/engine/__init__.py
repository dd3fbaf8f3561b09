"""Everything that runs a torch forward for inference."""
