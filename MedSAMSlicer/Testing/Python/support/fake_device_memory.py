"""Fake memory of a graphics device: sizes by a rule, and a network that runs out of it."""

from __future__ import annotations

from collections.abc import Callable

import torch


class FakeDeviceMemory:
    """Satisfies `DeviceMemory`: `free_bytes` are free, and a batch of n takes n times `item_bytes`.

    Whoever computes says with `holds` how many items there are.
    """

    def __init__(self, free_bytes: int, item_bytes: int = 100) -> None:
        self.free_bytes, self.item_bytes = free_bytes, item_bytes
        self.released = 0
        self._highest = 0

    def holds(self, count: int) -> None:
        self._highest = max(self._highest, count * self.item_bytes)

    def free(self) -> int:
        return self.free_bytes

    def begin(self) -> None:
        self._highest = 0

    def taken(self) -> int:
        return self._highest

    def release(self) -> None:
        self.released += 1


def cuda_error() -> Exception:
    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def mps_error() -> Exception:
    return RuntimeError("MPS backend out of memory (MPS allocated: 8.97 GB, other allocations: 1.02 GB)")


def cublas_error() -> Exception:
    return RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


class BatchLimit:
    """Raises an out-of-memory error for batches larger than `most`; records batch sizes in `asked`."""

    def __init__(
        self, most: int, error: Callable[[], Exception] = cuda_error, memory: FakeDeviceMemory | None = None
    ) -> None:
        self.most, self.error, self.memory = most, error, memory
        self.asked: list[int] = []

    def __call__(self, count: int) -> None:
        self.asked.append(count)
        if self.memory is not None:
            self.memory.holds(count)
        if count > self.most:
            raise self.error()
