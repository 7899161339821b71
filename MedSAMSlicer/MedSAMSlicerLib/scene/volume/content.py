"""Which voxels a volume holds: they change when they are edited, and with each frame of a sequence."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
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
        slices: the slices that were read.
        checksum: of their values.
    """

    time: int
    slices: tuple[int, ...]
    checksum: int

    def are_in(self, stack: Stack) -> bool:
        """Whether the stack holds the same voxels."""
        return self.time == content_time(stack.volume_node) or self.checksum == _checksum(stack, self.slices)


class Content:
    """The voxels of a stack of slices as they are now.

    Args:
        stack: keeps them when its volume node shows others, unless they are edited in place.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack, self._time = stack, int(stack.image.GetMTime())

    def read(self, slices: Iterable[int]) -> ReadVoxels | None:
        """The voxels of some slices; None if voxels were edited since."""
        if self._stack.image.GetMTime() != self._time:
            return None
        read = tuple(slices)
        return ReadVoxels(self._time, read, _checksum(self._stack, read))


def _checksum(stack: Stack, slices: Iterable[int]) -> int:
    checksum = 0
    for index in slices:
        checksum = zlib.crc32(np.ascontiguousarray(stack.slice_values(index)).data, checksum)
    return checksum
