"""Which voxels a volume holds: they change when they are edited, and with each frame of a sequence."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import slicer

from .view_plane import Stack


def content_time(volume_node: slicer.vtkMRMLScalarVolumeNode) -> int:
    """Time of the last change of the volume's voxels. Two frames of a sequence have different times, and so has a copy."""
    image = volume_node.GetImageData()
    return 0 if image is None else int(image.GetMTime())


@dataclass(frozen=True)
class ReadVoxels:
    """Recognises the voxels that a run has read, also in a copy: Slicer copies each frame of a sequence to show it.

    Attributes:
        time: `content_time` when they were read.
        checksums: slice -> checksum of its values, of the slices that were read.
    """

    time: int
    checksums: Mapping[int, int]

    def are_in(self, stack: Stack) -> bool:
        """Whether the stack holds the same voxels."""
        if self.time == content_time(stack.volume_node):
            return True
        return all(_checksum(stack, index) == checksum for index, checksum in self.checksums.items())


class Content:
    """The voxels of a stack of slices as they are now.

    Args:
        stack: keeps them when its volume node shows others, unless they are edited in place.
        known: voxels that were read before, perhaps the same ones.
    """

    def __init__(self, stack: Stack, known: ReadVoxels | None = None) -> None:
        self._stack, self._time = stack, int(stack.image.GetMTime())
        self._checksums = dict(known.checksums) if known is not None and known.time == self._time else {}

    def add(self, index: int) -> None:
        """Read a slice, so that `read` need not: hundreds of them take tenths of a second."""
        if index not in self._checksums and self._stack.image.GetMTime() == self._time:
            self._checksums[index] = _checksum(self._stack, index)

    def read(self, slices: Iterable[int]) -> ReadVoxels | None:
        """The voxels of some slices; None if voxels were edited since."""
        if self._stack.image.GetMTime() != self._time:
            return None
        read = tuple(slices)
        for index in read:
            self.add(index)
        return ReadVoxels(self._time, {index: self._checksums[index] for index in read})


def _checksum(stack: Stack, index: int) -> int:
    return zlib.crc32(np.ascontiguousarray(stack.slice_values(index)).data)
