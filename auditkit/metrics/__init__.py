"""Pure metric functions: arrays in, numbers or estimates out."""
