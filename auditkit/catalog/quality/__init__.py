"""Measured quality of the title linker."""
