"""Arrays in files that are memory-mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["map_array"]


def map_array(path: Path) -> NDArray[np.generic]:
    """Memory-map a `.npy` file for reading.

    The array is a plain view of the map, because indexing an `np.memmap` is several times slower.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a `.npy` file, or it contains Python objects.
    """
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    plain: NDArray[np.generic] = mapped.view(np.ndarray)
    return plain
