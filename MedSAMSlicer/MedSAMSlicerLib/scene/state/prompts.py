"""What the user has marked for one object: key slices in one plane, and how far the object may extend."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.prompts import Box, Points, SlicePrompt, StackPrompt
from ...engine.volume.oriented_box import OrientedBox
from ..roi.conversion import roi_to_prompt
from ..volume.slice_stack import SliceStack, default_axis_of
from ..volume.view_plane import Plane, Stack
from .stored_mask import StoredKeyMask, StoredMask

Origin = Literal["drawn", "corrected", "roi", "clicked", "segment", "kept", "edited"]
"""How a key slice came about: drawn by hand, marked on a slice that had a result, taken from an ROI, clicked, started
from the segment; or its mask is final, because the user kept it, or edited it in the segment."""


@dataclass(frozen=True)
class KeySlice:
    """What the user has marked on one slice, in slice pixels.

    Attributes:
        box, points: as in `SlicePrompt`.
        origin: how it came about.
        mask: mask that the model starts from: its own earlier prediction, or the mask of a result or of the segment.
        key_mask: final mask, which leaves nothing to predict and stands alone.

    Raises:
        InputError: nothing is marked, or only background points, or a final mask and something else.
    """

    box: Box | None
    origin: Origin = "drawn"
    points: Points | None = None
    mask: StoredMask | None = None
    key_mask: StoredKeyMask | None = None

    def __post_init__(self) -> None:
        self.prompt  # noqa: B018  (raises now, not when it is used)

    @property
    def prompt(self) -> SlicePrompt:
        """All of it, for the engine."""
        mask = None if self.mask is None else self.mask.prompt
        return SlicePrompt(self.box, self.points, mask, None if self.key_mask is None else self.key_mask.key_mask)

    def prompt_for(self, model: str) -> SlicePrompt:
        """The prompt for a model, without the logits of another model, which mean nothing to it.

        Raises:
            InputError: nothing else marks the object.
        """
        if self.mask is None or self.mask.fits(model):
            return self.prompt
        return SlicePrompt(self.box, self.points)

    @property
    def is_box(self) -> bool:
        """Whether there is a box and nothing else."""
        return self.points is None and self.mask is None and self.key_mask is None

    @property
    def holds_object(self) -> bool:
        """Whether the slice shows the object, as far as is known: it has no final mask that is empty."""
        return self.key_mask is None or self.key_mask.key_mask.box is not None

    @property
    def given(self) -> tuple[Box | None, Points | None, StoredMask | None, StoredKeyMask | None]:
        """All that a prediction depends on: equal for key slices that differ in nothing but their origin."""
        return (self.box, self.points, self.mask, self.key_mask)

    @property
    def extent(self) -> Box | None:
        """Smallest box that contains the box and the foreground points; None if there are none of them."""
        return self.prompt.extent


@dataclass(frozen=True)
class Prompts:
    """All that is marked for one object. Immutable: each change makes a new one.

    Attributes:
        plane: plane of the slices; slice indices and pixels refer to its stack.
        keys: slice index -> key slice, in increasing order; at least one.
        slice_range, box3d: as in `StackPrompt`. Given by a 3D box, None otherwise.
        oriented_box: ROI that the 3D box was made from, if it is rotated against the slices; no mask leaves it.
        lineage: equal for prompts that were derived from each other, so that they mark the same object.
    """

    plane: Plane
    keys: Mapping[int, KeySlice] = field(default_factory=dict)
    slice_range: tuple[int, int] | None = None
    box3d: Box | None = None
    oriented_box: OrientedBox | None = None
    lineage: int = field(default_factory=itertools.count().__next__, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", dict(sorted(self.keys.items())))

    @classmethod
    def from_roi(
        cls, roi_node: slicer.vtkMRMLMarkupsROINode | None, volume_node: slicer.vtkMRMLScalarVolumeNode
    ) -> Prompts:
        """An ROI of any rotation as a 3D box in the volume's own slices.

        Raises:
            InputError: the ROI is missing, empty or outside of the volume, or the volume cannot be used.
        """
        axis = default_axis_of(volume_node)
        prompt = roi_to_prompt(roi_node, SliceStack(volume_node, axis))
        keys = {index: KeySlice(given.box, "roi") for index, given in prompt.stack.slices.items()}
        return cls(Plane(axis), keys, prompt.stack.slice_range, prompt.stack.box3d, prompt.oriented_box)

    def with_key(self, index: int, key: KeySlice, stack: Stack) -> Prompts:
        """Adds or replaces a key slice. A 3D box grows to contain it.

        Where a foreground point lies outside of the box, the extent of the object is unknown, so `box3d` is dropped.
        A rotated ROI cannot grow. Rectangles follow the axes of the slices, so one that is drawn around an object in such
        an ROI sticks out at its faces without meaning to leave it, and masks are still cut to the ROI. Only what lies
        outside of the ROI altogether shows that the object does too; then `oriented_box` is dropped.

        Args:
            stack: slices of `plane`.
        """
        slice_range, box3d, extent = self.slice_range, self.box3d, key.extent
        if slice_range is not None:
            slice_range = (min(slice_range[0], index), max(slice_range[1], index))
        if box3d is not None and key.box is not None:
            box3d = Box.around([key.box, box3d])
        if box3d is not None and extent is not None and extent.intersection(box3d) != extent:
            box3d = None
        oriented_box = self.oriented_box_around(index, key.prompt, stack)
        keys = {**self.keys, index: key}
        return replace(self, keys=keys, slice_range=slice_range, box3d=box3d, oriented_box=oriented_box)

    def oriented_box_around(self, index: int, prompt: SlicePrompt, stack: Stack) -> OrientedBox | None:
        """The ROI that masks would be cut to if `prompt` were given on a slice; see `with_key`."""
        box = self.oriented_box
        if box is None or not box.touched_by(prompt, stack.slice_to_world(index), *stack.shape[1:]):
            return None
        return box

    def without_last_point(self, index: int) -> Prompts | None:
        """Removes the last click on a key slice that has clicks. None if nothing is left at all.

        A mask that only served as a start for the clicks goes with the last of them.
        """
        key = self.keys[index]
        points = None if key.points is None else key.points.without_last()
        mask = key.mask if points is not None or key.origin == "segment" else None
        if key.box is None and points is None and mask is None and key.key_mask is None:
            return self.without_key(index)
        return replace(self, keys={**self.keys, index: replace(key, points=points, mask=mask)})

    def without_key(self, index: int) -> Prompts | None:
        """Removes a key slice. None if no other one is left."""
        remaining = {at: key for at, key in self.keys.items() if at != index}
        return replace(self, keys=remaining) if remaining else None

    def with_key_masks(self, masks: Mapping[int, np.ndarray], origin: Origin, stack: Stack) -> Prompts:
        """Makes slices key slices with final masks, in place of what else was marked on them.

        Args:
            masks: slice index -> bool (rows, columns) mask.
            stack: slices of `plane`.
        """
        changed = self
        for index, mask in masks.items():
            changed = changed.with_key(index, KeySlice(None, origin, key_mask=StoredKeyMask.of(mask)), stack)
        return changed

    def stack_prompt(
        self, model: str, slice_range: tuple[int, int] | None = None, in_view: int | None = None
    ) -> StackPrompt:
        """The prompt for a model.

        Args:
            slice_range: first and last slice that the options allow; None: those of the 3D box, if there is one.
            in_view: as in `StackPrompt`.

        Raises:
            InputError: a key slice lies outside of the range, or marks nothing for this model.
        """
        prompts = {index: key.prompt_for(model) for index, key in self.keys.items()}
        return StackPrompt(prompts, self.slice_range if slice_range is None else slice_range, self.box3d, in_view)

    def content(self) -> dict[str, Any]:
        """The prompts as JSON-compatible values, as scenes store them since version 0.1; read by `from_content`."""
        return {
            "plane": self.plane.text(),
            "keys": {str(index): _key_content(key) for index, key in self.keys.items()},
            "reach": None if self.slice_range is None else list(self.slice_range),
            "bounds": None if self.box3d is None else list(self.box3d.xyxy),
            "solid": None if self.oriented_box is None else list(self.oriented_box.numbers),
        }

    @classmethod
    def from_content(cls, content: Any) -> Prompts:
        """Raises InputError if `content` has another form than `content()` gives."""
        try:
            keys = {int(index): _key_from(values) for index, values in content["keys"].items()}
            slice_range, box3d = content.get("reach"), content.get("bounds")
            if not keys:
                raise ValueError("no key slice")
            return cls(
                Plane.from_text(content["plane"]),
                keys,
                None if slice_range is None else (int(slice_range[0]), int(slice_range[1])),
                None if box3d is None else Box(*box3d),
                OrientedBox.from_content(content.get("solid")),
            )
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            raise InputError(_("the key slices in the scene cannot be read: draw the rectangles again")) from None


def _key_content(key: KeySlice) -> Any:
    """A list of four edges and the origin if there is only a box, a mapping otherwise."""
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
        **({} if key.key_mask is None else {"key_mask": key.key_mask.text}),
        "origin": key.origin,
    }


def _key_from(content: Any) -> KeySlice:
    if isinstance(content, list):
        *edges, origin = content
        content = {"box": edges, "origin": origin}
    box, points, mask, final, origin = (content.get(name) for name in ("box", "points", "mask", "key_mask", "origin"))
    if origin not in get_args(Origin):
        raise ValueError(origin)
    marked = None
    if points is not None:
        marked = Points(tuple((float(x), float(y)) for x, y, _sign in points), tuple(s > 0 for _x, _y, s in points))
    return KeySlice(
        None if box is None else Box(*box),
        origin,
        marked,
        None if mask is None else StoredMask(mask),
        None if final is None else StoredKeyMask(final),
    )
