"""Memory of a graphics device: how much is free, and how much a computation takes."""

from __future__ import annotations

import gc
from typing import Protocol

import torch


class DeviceMemory(Protocol):
    """Memory of one device in bytes, including that of computations in other threads."""

    def free(self) -> int:
        """Memory that can be allocated now."""
        ...

    def begin(self) -> None:
        """Start to measure the memory of a computation."""
        ...

    def taken(self) -> int:
        """Peak memory since `begin` above the memory in use then; 0 if it is not known."""
        ...

    def release(self) -> None:
        """Free the memory that PyTorch caches."""
        ...


class CudaMemory:
    """`DeviceMemory` of the first CUDA device."""

    def __init__(self) -> None:
        self._before = 0

    def free(self) -> int:
        # Memory that PyTorch has reserved and does not use is free for this process only.
        unused = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return int(torch.cuda.mem_get_info()[0]) + unused

    def begin(self) -> None:
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    def taken(self) -> int:
        return torch.cuda.max_memory_allocated() - self._before

    def release(self) -> None:
        release_all()


class MpsMemory:
    """`DeviceMemory` of an Apple graphics processor, which shares the memory of the computer."""

    def __init__(self) -> None:
        self._before = 0

    def free(self) -> int:
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()

    def begin(self) -> None:
        self._before = torch.mps.driver_allocated_memory()

    def taken(self) -> int:
        # PyTorch records no peak here. The memory of the driver grows with the peak and is kept, so that a later
        # computation of the same size measures 0.
        return max(0, torch.mps.driver_allocated_memory() - self._before)

    def release(self) -> None:
        release_all()


def memory_of(device: str) -> DeviceMemory:
    """Memory of the device "cuda" or "mps"."""
    return CudaMemory() if device == "cuda" else MpsMemory()


def release_all() -> None:
    """Free the memory that PyTorch caches, on all devices."""
    gc.collect()
    # Has no effect if CUDA is not in use.
    torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
