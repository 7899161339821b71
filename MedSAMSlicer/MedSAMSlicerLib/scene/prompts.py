"""What the user has drawn for one segment: the plane, the key slices, and how far the object may reach."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from ..engine.errors import InputError
from ..engine.prompts import Box, StackPrompt
from ..engine.results import SliceResult
from ..engine.words import tr as _
from .roi_solid import RoiSolid
from .view_plane import Plane

Origin = Literal["drawn", "corrected", "roi"]


@dataclass(frozen=True)
class KeySlice:
    """A box in slice pixels, and how it came about: drawn by hand, drawn over a result, or taken from an ROI."""

    box: Box
    origin: Origin = "drawn"


@dataclass(frozen=True)
class Prompts:
    """All that is known of one object; a change makes a new one.

    Attributes:
        plane: plane of the slices that everything is counted in.
        keys: slice index -> key slice; at least one.
        reach, bounds: as in `StackPrompt`; given by a 3D box, None otherwise.
        solid: the ROI that they come from, if it is slanted: no mask leaves it, but for key slices drawn by hand.
        lineage: the same for prompts that were made of each other: they are about one object, corrected.
    """

    plane: Plane
    keys: Mapping[int, KeySlice] = field(default_factory=dict)
    reach: tuple[int, int] | None = None
    bounds: Box | None = None
    solid: RoiSolid | None = None
    lineage: int = field(default_factory=itertools.count().__next__, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", dict(sorted(self.keys.items())))

    def with_key(self, index: int, key: KeySlice) -> Prompts:
        """A box drawn by hand may leave a 3D box: that grows to hold it."""
        reach, bounds = self.reach, self.bounds
        if reach is not None:
            reach = (min(reach[0], index), max(reach[1], index))
        if bounds is not None:
            ours, theirs = key.box.xyxy, bounds.xyxy
            bounds = Box(*map(min, ours[:2], theirs[:2]), *map(max, ours[2:], theirs[2:]))
        return replace(self, keys={**self.keys, index: key}, reach=reach, bounds=bounds)

    def without_key(self, index: int) -> Prompts | None:
        """None if no key slice is left."""
        kept = {at: key for at, key in self.keys.items() if at != index}
        return replace(self, keys=kept) if kept else None

    def limited(self, found: SliceResult, slice_to_world: np.ndarray) -> SliceResult:
        """The result of a slice as far as it lies in the ROI. What was drawn by hand is the user's own word."""
        drawn = found.index in self.keys and self.keys[found.index].origin != "roi"
        return found if self.solid is None or drawn else self.solid.limited(found, slice_to_world)

    def stack_prompt(self, reach: tuple[int, int] | None = None) -> StackPrompt:
        """For the engine; `reach` is what the options say, and holds where no 3D box says more.

        Raises:
            InputError: a key slice lies outside the reach.
        """
        boxes = {index: key.box for index, key in self.keys.items()}
        return StackPrompt(boxes, reach if reach is not None else self.reach, self.bounds)

    def content(self) -> dict[str, Any]:
        """For `EffectParameters.set_prompts_of`; `from_content` reads it."""
        return {
            "plane": self.plane.text(),
            "keys": {str(index): [*key.box.xyxy, key.origin] for index, key in self.keys.items()},
            "reach": None if self.reach is None else list(self.reach),
            "bounds": None if self.bounds is None else list(self.bounds.xyxy),
            "solid": None if self.solid is None else list(self.solid.numbers),
        }

    @classmethod
    def from_content(cls, content: Any) -> Prompts:
        """Raises InputError if it is not what `content` gives."""
        try:
            keys = {int(index): _key(values) for index, values in content["keys"].items()}
            reach, bounds = content.get("reach"), content.get("bounds")
            if not keys:
                raise ValueError("no key slice")
            return cls(
                Plane.from_text(content["plane"]),
                keys,
                None if reach is None else (int(reach[0]), int(reach[1])),
                None if bounds is None else Box(*bounds),
                RoiSolid.from_content(content.get("solid")),
            )
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            raise InputError(_("the key slices in the scene cannot be read: draw the rectangles again")) from None


def _key(values: Any) -> KeySlice:
    *edges, origin = values
    if origin not in get_args(Origin):
        raise ValueError(origin)
    return KeySlice(Box(*edges), origin)
