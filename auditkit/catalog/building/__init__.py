"""Building catalog files and opening catalogs by name."""
