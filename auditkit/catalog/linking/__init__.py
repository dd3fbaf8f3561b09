"""Title linking: normalization, index, spelling repair and near misses."""
