"""What the user has drawn and clicked for one segment: the plane, the key slices, how far the object may reach."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.oriented_box import OrientedBox
from ...engine.prompts import Box, Points, SlicePrompt, StackPrompt
from ..volume.view_plane import Plane, Stack
from .stored_mask import StoredMask

Origin = Literal["drawn", "corrected", "roi", "clicked", "segment"]


@dataclass(frozen=True)
class KeySlice:
    """What the user gave on one slice, in slice pixels, and how it came about.

    Attributes:
        box, points: as in `SlicePrompt`.
        mask: what the model starts from: its own earlier answer, a result's mask, or the segment's.
        origin: drawn by hand, given on a slice that had a result, taken from an ROI, clicked, or begun from the segment.

    Raises:
        InputError: nothing is given, or negative points alone.
    """

    box: Box | None
    origin: Origin = "drawn"
    points: Points | None = None
    mask: StoredMask | None = None

    def __post_init__(self) -> None:
        self.prompt  # noqa: B018  (refused now, not when it is asked for)

    @property
    def prompt(self) -> SlicePrompt:
        """All of it, for the engine."""
        return SlicePrompt(self.box, self.points, None if self.mask is None else self.mask.prompt)

    def prompt_for(self, model: str) -> SlicePrompt:
        """For that model: logits of another one mean nothing to it.

        Raises:
            InputError: without them nothing is left that says where the object is.
        """
        if self.mask is None or self.mask.fits(model):
            return self.prompt
        return SlicePrompt(self.box, self.points)

    @property
    def is_box(self) -> bool:
        """Whether there is a box and nothing else."""
        return self.points is None and self.mask is None

    @property
    def given(self) -> tuple[Box | None, Points | None, StoredMask | None]:
        """What a mask of the slice depends on: equal where the same was given, however it came about."""
        return (self.box, self.points, self.mask)

    @property
    def marked(self) -> Box | None:
        """The smallest box that holds the box and the positive points, if there are any."""
        boxes = [] if self.box is None else [self.box]
        if self.points is not None:
            pairs = zip(self.points.coordinates, self.points.positive, strict=True)
            boxes += [Box(x, y, x, y) for (x, y), positive in pairs if positive]
        return _around(boxes) if boxes else None


@dataclass(frozen=True)
class Prompts:
    """All that is known of one object; a change makes a new one.

    Attributes:
        plane: plane of the slices that everything is counted in.
        keys: slice index -> key slice; at least one.
        reach, bounds: as in `StackPrompt`; given by a 3D box, None otherwise.
        solid: the ROI that they come from, if it is slanted: no mask leaves it.
        lineage: the same for prompts that were made of each other: they are about one object, corrected.
    """

    plane: Plane
    keys: Mapping[int, KeySlice] = field(default_factory=dict)
    reach: tuple[int, int] | None = None
    bounds: Box | None = None
    solid: OrientedBox | None = None
    lineage: int = field(default_factory=itertools.count().__next__, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", dict(sorted(self.keys.items())))

    def with_key(self, index: int, key: KeySlice, stack: Stack) -> Prompts:
        """What is given by hand may leave a 3D box, which grows to hold a rectangle.

        How far the object reaches around a positive point outside of the box, nobody knows yet: no bounds hold then.
        A slanted ROI cannot grow. A rectangle has the slices' axes, so it reaches over the faces of such an ROI where
        nobody meant to leave it: masks are cut to the ROI all the same. Only what lies beside the ROI altogether says
        that the object does; the ROI bounds nothing then.

        Args:
            stack: the slices of the plane.
        """
        reach, bounds = self.reach, self.bounds
        if reach is not None:
            reach = (min(reach[0], index), max(reach[1], index))
        if bounds is not None and key.box is not None:
            bounds = _around([key.box, bounds])
        if bounds is not None and key.marked is not None and key.marked.intersection(bounds) != key.marked:
            bounds = None
        solid = self.solid_around(index, key.prompt, stack)
        return replace(self, keys={**self.keys, index: key}, reach=reach, bounds=bounds, solid=solid)

    def solid_around(self, index: int, prompt: SlicePrompt, stack: Stack) -> OrientedBox | None:
        """The ROI that masks of a slice would be cut to, if that were given there."""
        if self.solid is None or not self.solid.touched_by(prompt, stack.slice_to_world(index), *stack.shape[1:]):
            return None
        return self.solid

    def without_last_point(self, index: int) -> Prompts | None:
        """A key slice with one click less, which it has; None if nothing at all is left.

        A mask that only served as a start for the clicks goes with the last of them.
        """
        key = self.keys[index]
        points = None if key.points is None else key.points.without_last()
        mask = key.mask if points is not None or key.origin == "segment" else None
        if key.box is None and points is None and mask is None:
            return self.without_key(index)
        return replace(self, keys={**self.keys, index: replace(key, points=points, mask=mask)})

    def without_key(self, index: int) -> Prompts | None:
        """None if no key slice is left."""
        kept = {at: key for at, key in self.keys.items() if at != index}
        return replace(self, keys=kept) if kept else None

    def stack_prompt(self, model: str, reach: tuple[int, int] | None = None) -> StackPrompt:
        """For that model; `reach` is what the options say, and holds where no 3D box says more.

        Raises:
            InputError: a key slice lies outside the reach, or says nothing to the model.
        """
        given = {index: key.prompt_for(model) for index, key in self.keys.items()}
        return StackPrompt(given, reach if reach is not None else self.reach, self.bounds)

    def content(self) -> dict[str, Any]:
        """For `EffectParameters.set_prompts_of`; `from_content` reads it."""
        return {
            "plane": self.plane.text(),
            "keys": {str(index): _content(key) for index, key in self.keys.items()},
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
                OrientedBox.from_content(content.get("solid")),
            )
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            raise InputError(_("the key slices in the scene cannot be read: draw the rectangles again")) from None


def _around(boxes: list[Box]) -> Box:
    """The smallest box that holds all of some."""
    return Box(
        min(one.x0 for one in boxes),
        min(one.y0 for one in boxes),
        max(one.x1 for one in boxes),
        max(one.y1 for one in boxes),
    )


def _content(key: KeySlice) -> Any:
    """A list of four edges and the origin, where there is only a box; else a mapping of all that was given."""
    if key.box is not None and key.is_box:
        return [*key.box.xyxy, key.origin]
    points = None
    if key.points is not None:
        pairs = zip(key.points.coordinates, key.points.positive, strict=True)
        points = [[x, y, int(positive)] for (x, y), positive in pairs]
    return {
        "box": None if key.box is None else list(key.box.xyxy),
        "points": points,
        "mask": None if key.mask is None else key.mask.text,
        "origin": key.origin,
    }


def _key(content: Any) -> KeySlice:
    if isinstance(content, list):
        *edges, origin = content
        content = {"box": edges, "origin": origin}
    box, points, mask, origin = (content.get(name) for name in ("box", "points", "mask", "origin"))
    if origin not in get_args(Origin):
        raise ValueError(origin)
    given = None
    if points is not None:
        given = Points(tuple((float(x), float(y)) for x, y, _sign in points), tuple(s > 0 for _x, _y, s in points))
    return KeySlice(None if box is None else Box(*box), origin, given, None if mask is None else StoredMask(mask))
