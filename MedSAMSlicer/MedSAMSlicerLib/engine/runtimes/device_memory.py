"""How much memory a graphics device has, and what a piece of work takes of it."""

from __future__ import annotations

import gc
from typing import Protocol

import torch


class DeviceMemory(Protocol):
    """Memory figures of one device, in bytes. What other threads compute meanwhile is counted too."""

    def free(self) -> int:
        """What could be allocated now."""
        ...

    def begin(self) -> None:
        """Work begins whose need of memory is to be known."""
        ...

    def taken(self) -> int:
        """The most that was in use at once since `begin`, above what was in use then; 0 if that is not known."""
        ...

    def release(self) -> None:
        """Give back what PyTorch keeps for later."""
        ...


class CudaMemory:
    """Of the first CUDA device. Satisfies `DeviceMemory`."""

    def __init__(self) -> None:
        self._before = 0

    def free(self) -> int:
        # What PyTorch has reserved and does not use is free for us, though not for others.
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
    """Of Apple's graphics processor, which shares the computer's memory. Satisfies `DeviceMemory`."""

    def __init__(self) -> None:
        self._before = 0

    def free(self) -> int:
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()

    def begin(self) -> None:
        self._before = torch.mps.driver_allocated_memory()

    def taken(self) -> int:
        # There is no record of the highest use. The driver's share grows with it and stays: 0 where work of that size
        # was done before.
        return max(0, torch.mps.driver_allocated_memory() - self._before)

    def release(self) -> None:
        release_all()


def memory_of(device: str) -> DeviceMemory:
    """Figures of "cuda" or "mps"."""
    return CudaMemory() if device == "cuda" else MpsMemory()


def release_all() -> None:
    """Give back what PyTorch keeps for later on every device."""
    gc.collect()
    # Does nothing where CUDA is not in use.
    torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
