"""Many strings as two numpy arrays, so that an index of a million titles can be memory-mapped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Strings"]


class Strings(NamedTuple):
    """An array of strings; string i is the UTF-8 text `blob[offsets[i] : offsets[i + 1]]`."""

    blob: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def pack(cls, texts: Iterable[str]) -> Strings:
        """Pack texts in their order."""
        blob = bytearray()
        ends = [0]
        for text in texts:
            blob += text.encode("utf-8", "surrogatepass")
            ends.append(len(blob))
        return cls(np.frombuffer(bytes(blob), dtype=np.uint8), np.asarray(ends, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def text(self, row: int) -> str:
        """The string with index `row`."""
        return self.texts([row])[0]

    def texts(self, rows: ArrayLike) -> list[str]:
        """Strings of many rows, in the order of `rows`."""
        rows = np.asarray(rows, dtype=np.int64)
        view = self.blob.data
        return [
            str(view[begin:end], "utf-8", "surrogatepass")
            for begin, end in zip(
                self.offsets[rows].tolist(), self.offsets[rows + 1].tolist(), strict=True
            )
        ]
