"""Prompts on one slice and prompts for a stack of slices.

Coordinates are slice pixels: ``x`` counts columns to the right and ``y`` counts rows downwards, from 0 at the centre of
the first pixel. A box includes the pixels of all four edges, so that a box of one pixel has ``x0 == x1``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from .errors import InputError
from .i18n import tr as _
from .masks import bounding_box


@dataclass(frozen=True)
class Box:
    """Rectangle in slice pixels, including its edges.

    Attributes:
        x0, y0, x1, y1: left, upper, right and lower edge.

    Raises:
        InputError: a coordinate is not finite, or an edge is greater than the opposite one.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in self.xyxy):
            raise InputError(
                _("box {box} has a coordinate that is not a number: give four finite values").format(box=self.xyxy)
            )
        if self.x1 < self.x0 or self.y1 < self.y0:
            raise InputError(_("box {box} is reversed: give the lower edge before the upper one").format(box=self.xyxy))

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return (self.x0, self.y0, self.x1, self.y1)

    @property
    def width(self) -> float:
        """Number of columns that the box covers."""
        return self.x1 - self.x0 + 1

    @property
    def height(self) -> float:
        """Number of rows that the box covers."""
        return self.y1 - self.y0 + 1

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Index of the box in a (rows, columns) array: the pixels whose centres lie in the box."""
        return (
            slice(max(0, math.ceil(self.y0)), max(0, math.floor(self.y1) + 1)),
            slice(max(0, math.ceil(self.x0)), max(0, math.floor(self.x1) + 1)),
        )

    def padded(self, dx: float, dy: float) -> Box:
        """The box with each vertical edge moved outwards by `dx` pixels and each horizontal edge by `dy` pixels."""
        return Box(self.x0 - dx, self.y0 - dy, self.x1 + dx, self.y1 + dy)

    def intersection(self, other: Box) -> Box | None:
        """The part of the box that lies in `other`, or None if the boxes do not overlap."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1, y1 = min(self.x1, other.x1), min(self.y1, other.y1)
        return Box(x0, y0, x1, y1) if x0 <= x1 and y0 <= y1 else None

    @classmethod
    def around(cls, boxes: Collection[Box]) -> Box:
        """The smallest box that contains all of `boxes`, at least one."""
        edges = np.array([box.xyxy for box in boxes])
        return cls(*edges[:, :2].min(axis=0).tolist(), *edges[:, 2:].max(axis=0).tolist())

    @classmethod
    def of_slice(cls, rows: int, columns: int) -> Box:
        """The box that covers a whole slice."""
        return cls(0, 0, columns - 1, rows - 1)

    @classmethod
    def from_mask(cls, mask: np.ndarray) -> Box | None:
        """Bounding box of the True pixels of a (rows, columns) mask, or None if the mask is empty."""
        found = bounding_box(mask)
        if found is None:
            return None
        rows, columns = found
        return cls(columns.start, rows.start, columns.stop - 1, rows.stop - 1)


@dataclass(frozen=True)
class Points:
    """Points inside and outside of an object.

    Attributes:
        coordinates: (x, y) of each point, in slice pixels.
        positive: whether each point lies in the object.

    Raises:
        InputError: there is no point, the tuples differ in length, or a coordinate is not finite.
    """

    coordinates: tuple[tuple[float, float], ...]
    positive: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not self.coordinates or len(self.coordinates) != len(self.positive):
            raise InputError(
                _("there are {signs} signs for {points} points: give each point one sign").format(
                    points=len(self.coordinates), signs=len(self.positive)
                )
            )
        if not all(math.isfinite(x) and math.isfinite(y) for x, y in self.coordinates):
            raise InputError(_("a point has a coordinate that is not a number: give two finite values for each"))

    def __len__(self) -> int:
        return len(self.coordinates)

    def with_point(self, x: float, y: float, positive: bool) -> Points:
        """These points and one more."""
        return Points((*self.coordinates, (x, y)), (*self.positive, positive))

    def without_last(self) -> Points | None:
        """All points but the last one; None if it is the only one."""
        return Points(self.coordinates[:-1], self.positive[:-1]) if len(self) > 1 else None


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """Approximate mask to start from, either as logits or as a binary mask.

    Attributes:
        logits: float32 (h, w) at the decoder's resolution: `Prediction.low_res_logits` of the same model and slice.
        mask: bool (rows, columns) of the slice, from any source. Each model converts it to logits.

    Raises:
        InputError: neither or both are given, or one has the wrong type or shape or is empty.
    """

    logits: np.ndarray | None = None
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        if (self.logits is None) == (self.mask is None):
            raise InputError(_("a mask prompt needs either logits or a mask of the slice: give one of the two"))
        if self.logits is not None and not (
            self.logits.ndim == 2 and self.logits.dtype == np.float32 and np.isfinite(self.logits).all()
        ):
            raise InputError(
                _("logits of type {kind} and shape {shape} are not a mask prompt: give finite float32 (h, w)").format(
                    kind=self.logits.dtype, shape=self.logits.shape
                )
            )
        if self.mask is not None and not (self.mask.ndim == 2 and self.mask.dtype == bool):
            raise InputError(
                _("a mask of type {kind} and shape {shape} is not a prompt: give bool (rows, columns)").format(
                    kind=self.mask.dtype, shape=self.mask.shape
                )
            )
        if self.mask is not None and not self.mask.any():
            raise InputError(_("the mask prompt is empty on this slice: give a mask that contains the object"))


@dataclass(frozen=True, eq=False)
class KeyMask:
    """Final mask of one slice: drawn, corrected or accepted by the user, and never changed. No model sees it.

    Attributes:
        mask: bool (rows, columns) of the slice. An empty one says that the object is not on this slice.

    Raises:
        InputError: the mask has the wrong type or shape.
    """

    mask: np.ndarray

    def __post_init__(self) -> None:
        if not (self.mask.ndim == 2 and self.mask.dtype == bool):
            raise InputError(
                _("a mask of type {kind} and shape {shape} is no key mask: give bool (rows, columns)").format(
                    kind=self.mask.dtype, shape=self.mask.shape
                )
            )

    @property
    def box(self) -> Box | None:
        """Bounding box of the mask, or None if it is empty."""
        return Box.from_mask(self.mask)


@dataclass(frozen=True)
class SlicePrompt:
    """Prompt for one object on one slice: any combination of box, points and mask, or a key mask.

    `ModelSpec.prompts` says which of box, points and mask a model accepts. Key masks go with every model, and so do points
    beside a box.

    Attributes:
        box: box around the object.
        points: points inside and outside of the object.
        mask: approximate mask of the object.
        key_mask: final mask of the slice, which leaves nothing to predict on it.

    Raises:
        InputError: nothing is given, or only negative points, which do not locate the object; or a key mask and
            something else.
    """

    box: Box | None = None
    points: Points | None = None
    mask: MaskPrompt | None = None
    key_mask: KeyMask | None = None

    def __post_init__(self) -> None:
        if not self.kinds:
            raise InputError(_("the prompt is empty: give a box, points or a mask"))
        if self.key_mask is not None and len(self.kinds) > 1:
            raise InputError(_("a key mask is final: give no box, points or rough mask on its slice"))
        if self.kinds == {"points"} and self.points is not None and not any(self.points.positive):
            raise InputError(_("all points are negative: add a positive point, a box or a mask"))

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of prompt that are given: any of "box", "points" and "mask", or "key mask" alone."""
        given = (("box", self.box), ("points", self.points), ("mask", self.mask), ("key mask", self.key_mask))
        return frozenset(name for name, value in given if value is not None)

    @property
    def box_alone(self) -> Box | None:
        """The box if nothing else is given; otherwise None."""
        return self.box if self.kinds == {"box"} else None

    @property
    def extent(self) -> Box | None:
        """Smallest box that contains the box and the positive points; None if there are none of them."""
        boxes = [] if self.box is None else [self.box]
        if self.points is not None:
            pairs = zip(self.points.coordinates, self.points.positive, strict=True)
            boxes += [Box(x, y, x, y) for (x, y), positive in pairs if positive]
        return Box.around(boxes) if boxes else None

    def checked_for(self, rows: int, columns: int) -> SlicePrompt:
        """Check that the prompt fits a slice of `rows` x `columns`.

        Returns:
            The prompt itself.

        Raises:
            InputError: the box or a point lies outside the slice, or the mask has another size.
        """
        if self.box is not None and self.box.intersection(Box.of_slice(rows, columns)) != self.box:
            raise InputError(
                _("box {box} lies outside the slice: {limits}").format(box=self.box.xyxy, limits=_limits(rows, columns))
            )
        for x, y in self.points.coordinates if self.points is not None else ():
            # Pixels extend half a pixel beyond their centres.
            if not (-0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5):
                raise InputError(
                    _("point {point} lies outside the slice: {limits}").format(
                        point=(x, y), limits=_limits(rows, columns)
                    )
                )
        for given in (self.mask, self.key_mask):
            if given is not None and given.mask is not None and given.mask.shape != (rows, columns):
                raise InputError(
                    _("a mask of {shape} pixels does not fit a slice of {expected} pixels").format(
                        shape=given.mask.shape, expected=(rows, columns)
                    )
                )
        return self


def _limits(rows: int, columns: int) -> str:
    return _("columns run from 0 to {column}, rows from 0 to {row}").format(column=columns - 1, row=rows - 1)


def as_slice_prompt(prompt: Box | SlicePrompt) -> SlicePrompt:
    """The prompt itself, or a prompt with this box."""
    return SlicePrompt(box=prompt) if isinstance(prompt, Box) else prompt


@dataclass(frozen=True)
class StackPrompt:
    """Prompts for one object in a stack of slices.

    Attributes:
        slices: slice index -> prompt on that key slice, in increasing order; at least one, and not only empty key masks
            unless there is a 3D box. A box alone may be passed as a `Box` and is stored as a `SlicePrompt`.
        slice_range: first and last slice that may show the object, inclusive; None to find its extent.
        box3d: in-plane face of the 3D box, in slice pixels. Masks do not extend beyond it on any slice, but key masks
            may. None for the whole slice.
        in_view: slice that the user looks at. It has no influence on masks: slices near it come first, where the order
            of the propagation allows it.

    Raises:
        InputError: there is no key slice, or none that locates the object; the slice range is reversed, or a key slice
            lies outside of it.
    """

    slices: Mapping[int, SlicePrompt]
    slice_range: tuple[int, int] | None = None
    box3d: Box | None = None
    in_view: int | None = field(default=None, compare=False)

    def __init__(
        self,
        slices: Mapping[int, SlicePrompt] | Mapping[int, Box] | Mapping[int, SlicePrompt | Box],
        slice_range: tuple[int, int] | None = None,
        box3d: Box | None = None,
        in_view: int | None = None,
    ) -> None:
        if not slices:
            raise InputError(_("there is no prompt: give a box, points or a mask on at least one slice"))
        given = {index: as_slice_prompt(slices[index]) for index in sorted(slices)}
        if box3d is None and all(one.key_mask is not None and one.key_mask.box is None for one in given.values()):
            raise InputError(_("all key masks are empty: give one that holds the object, or another prompt"))
        object.__setattr__(self, "slices", MappingProxyType(given))
        object.__setattr__(self, "slice_range", slice_range)
        object.__setattr__(self, "box3d", box3d)
        object.__setattr__(self, "in_view", in_view)
        if slice_range is not None:
            first, last = slice_range
            if last < first:
                raise InputError(
                    _("slices {first} to {last} are reversed: give the lower slice first").format(
                        first=first, last=last
                    )
                )
            outside = [index for index in self.slices if not first <= index <= last]
            if outside:
                raise InputError(
                    _("key slice {index} lies outside slices {first} to {last}: widen the slice range").format(
                        index=outside[0], first=first, last=last
                    )
                )

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of prompt that are given on any slice: any of "box", "points", "mask" and "key mask"."""
        return frozenset().union(*(given.kinds for given in self.slices.values()))

    @property
    def key_masks(self) -> dict[int, np.ndarray]:
        """Slice index -> bool (rows, columns) key mask, in increasing order."""
        return {index: given.key_mask.mask for index, given in self.slices.items() if given.key_mask is not None}

    @classmethod
    def from_box3d(cls, first: int, last: int, box: Box) -> StackPrompt:
        """Prompt with a 3D box: the same box on slices `first` to `last`, inclusive. The middle slice is the key slice.

        Raises:
            InputError: `last` is less than `first`.
        """
        if last < first:
            raise InputError(
                _("slices {first} to {last} are reversed: give the lower slice first").format(first=first, last=last)
            )
        return cls({(first + last) // 2: box}, (first, last), box)

    def checked_for(self, shape: tuple[int, int, int]) -> StackPrompt:
        """Check that the prompt fits a stack of `shape` (slices, rows, columns).

        Returns:
            The prompt itself.

        Raises:
            InputError: a key slice, its prompt, the slice range or the 3D box lies outside the stack.
        """
        slices, rows, columns = shape
        for index in [*self.slices, *(self.slice_range or ())]:
            if not 0 <= index < slices:
                raise InputError(
                    _("slice {index} lies outside the volume: slices run from 0 to {last}").format(
                        index=index, last=slices - 1
                    )
                )
        face = [] if self.box3d is None else [SlicePrompt(box=self.box3d)]
        for prompt in [*self.slices.values(), *face]:
            prompt.checked_for(rows, columns)
        return self
