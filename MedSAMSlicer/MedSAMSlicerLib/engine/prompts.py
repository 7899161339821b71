"""What the user tells a model: prompts on one slice, and prompts for a stack of slices.

Slice pixels: ``x`` counts columns to the right, ``y`` counts rows downwards, both from 0 at the centre of the
first pixel. A box includes the pixels of all its four edges, so a box of one pixel has ``x0 == x1``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from .errors import InputError


@dataclass(frozen=True)
class Box:
    """Rectangle in slice pixels, edges included.

    Raises:
        InputError: a coordinate is not finite, or the box is turned over.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in self.xyxy):
            raise InputError(f"box {self.xyxy} has a coordinate that is not a number: give four finite values")
        if self.x1 < self.x0 or self.y1 < self.y0:
            raise InputError(f"box {self.xyxy} is turned over: give the lower edge before the upper one")

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return (self.x0, self.y0, self.x1, self.y1)

    @property
    def width(self) -> float:
        """Columns that the box covers."""
        return self.x1 - self.x0 + 1

    @property
    def height(self) -> float:
        """Rows that the box covers."""
        return self.y1 - self.y0 + 1

    def grown(self, dx: float, dy: float) -> Box:
        """The box with each vertical edge moved outwards by `dx` pixels and each horizontal edge by `dy`."""
        return Box(self.x0 - dx, self.y0 - dy, self.x1 + dx, self.y1 + dy)

    def inside(self, other: Box) -> Box | None:
        """The part of the box that lies in `other`, or None if there is none."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1, y1 = min(self.x1, other.x1), min(self.y1, other.y1)
        return Box(x0, y0, x1, y1) if x0 <= x1 and y0 <= y1 else None

    @classmethod
    def of_slice(cls, rows: int, columns: int) -> Box:
        """The box that covers a whole slice."""
        return cls(0, 0, columns - 1, rows - 1)

    @classmethod
    def around(cls, mask: np.ndarray) -> Box | None:
        """The smallest box around the true pixels of a (rows, columns) mask, or None if the mask is empty."""
        rows = np.flatnonzero(mask.any(axis=1))
        if rows.size == 0:
            return None
        columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
        return cls(int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))


@dataclass(frozen=True)
class Points:
    """Points in slice pixels; `positive` says for each whether it lies in the object.

    Raises:
        InputError: there is no point, or the two tuples differ in length.
    """

    coordinates: tuple[tuple[float, float], ...]
    positive: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not self.coordinates or len(self.coordinates) != len(self.positive):
            raise InputError(
                f"{len(self.coordinates)} points came with {len(self.positive)} signs: give each point one sign"
            )


@dataclass(frozen=True)
class MaskPrompt:
    """Logits of an earlier mask, float32 (rows, columns) at the decoder's resolution."""

    logits: np.ndarray


@dataclass(frozen=True)
class StackPrompt:
    """Prompts for a stack of slices.

    Attributes:
        keys: slice index -> box that the user gave on that slice (a key slice). At least one.
        reach: first and last slice that may hold the object, included; None: as far as the object goes.
        bounds: box that no mask may leave on any slice; None: the whole slice.

    Raises:
        InputError: no key slice, a reach turned over, or a key slice outside the reach.
    """

    keys: Mapping[int, Box]
    reach: tuple[int, int] | None = None
    bounds: Box | None = field(default=None)

    def __post_init__(self) -> None:
        if not self.keys:
            raise InputError("no box was given: give a box on at least one slice")
        object.__setattr__(self, "keys", MappingProxyType(dict(sorted(self.keys.items()))))
        if self.reach is not None:
            first, last = self.reach
            if last < first:
                raise InputError(f"slices {first} to {last} are turned over: give the lower slice first")
            outside = [index for index in self.keys if not first <= index <= last]
            if outside:
                raise InputError(f"key slice {outside[0]} lies outside slices {first} to {last}: widen the reach")

    @classmethod
    def from_box3d(cls, first: int, last: int, box: Box) -> StackPrompt:
        """A 3D box: the same rectangle on slices `first` to `last`, included; its middle slice is the key slice."""
        if last < first:
            raise InputError(f"slices {first} to {last} are turned over: give the lower slice first")
        return cls(keys={(first + last) // 2: box}, reach=(first, last), bounds=box)

    def checked_for(self, shape: tuple[int, int, int]) -> StackPrompt:
        """The prompt itself, if it lies in a stack of `shape` (slices, rows, columns).

        Raises:
            InputError: a key slice, a box, the reach or the bounds lie outside the stack.
        """
        slices, rows, columns = shape
        for index in [*self.keys, *(self.reach or ())]:
            if not 0 <= index < slices:
                raise InputError(f"slice {index} lies outside the volume: slices run from 0 to {slices - 1}")
        whole = Box.of_slice(rows, columns)
        for box in [*self.keys.values(), *([self.bounds] if self.bounds else [])]:
            if box.inside(whole) != box:
                raise InputError(
                    f"box {box.xyxy} lies outside the slice: columns run from 0 to {columns - 1}, rows from 0 to {rows - 1}"
                )
        return self
