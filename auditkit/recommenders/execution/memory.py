"""Recognize an error of exhausted memory without importing the library that raises it."""

from __future__ import annotations

__all__ = ["is_out_of_memory"]

# PyTorch on a GPU, on the CPU and in cuBLAS; other libraries that compute on a GPU say the first.
_MESSAGES = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error reports exhausted memory, so that a smaller batch may succeed."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _MESSAGES)
