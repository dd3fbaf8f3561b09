"""OpenAI-compatible endpoints: HTTP client, limits and capability checks."""
