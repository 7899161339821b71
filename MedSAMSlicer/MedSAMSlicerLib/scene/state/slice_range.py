"""Slices that a run may segment, as the options limit them: all, only the key slice, or from a start to an end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ..volume.view_plane import Plane, Stack, slice_name
from .effect_parameters import EffectParameters


def chosen_slice_range(
    parameters: EffectParameters, plane: Plane, stack: Stack, keys: Iterable[int]
) -> tuple[int, int] | None:
    """Reads the options Reach, ReachStart, ReachEnd and ReachPlane.

    Args:
        plane, stack: of the key slices.
        keys: indices of the key slices, at least one.

    Returns:
        First and last slice, both included; None: as far as the object extends.

    Raises:
        InputError: start or end is not set, is in another plane, or leaves out a key slice; or the range is one slice
            and there are several key slices.
    """
    keys = sorted(keys)
    if parameters.reach == "object":
        return None
    if parameters.reach == "slice":
        if len(keys) > 1:
            raise InputError(
                _(
                    "there are {count} key slices, but only one slice is to be segmented: choose another extent, or "
                    "remove key slices"
                ).format(count=len(keys))
            )
        return (keys[0], keys[0])
    start, end = parameters.number("ReachStart"), parameters.number("ReachEnd")
    if start < 0 or end < 0:
        raise InputError(_("the range has no start or no end: go to that slice and click 'From here' or 'To here'"))
    if parameters.get("ReachPlane") != plane.text():
        raise InputError(
            _("start and end of the range are slices of another plane: set them again in a view of this one")
        )
    first, last = min(start, end), max(start, end)
    outside = [index for index in keys if not first <= index <= last]
    if outside:
        raise InputError(
            _(
                "key slice {name} is outside of slices {first} to {last}: extend the range, or remove the key slice"
            ).format(name=slice_name(stack, outside[0]), first=slice_name(stack, first), last=slice_name(stack, last))
        )
    return (first, last)


def set_slice_range_end(
    parameters: EffectParameters, name: Literal["ReachStart", "ReachEnd"], index: int, plane: Plane
) -> None:
    """Set the start or the end of the range to a slice, and choose the range. An end in another plane is cleared."""
    if parameters.get("ReachPlane") != plane.text():
        parameters.set("ReachStart", "-1")
        parameters.set("ReachEnd", "-1")
        parameters.set("ReachPlane", plane.text())
    parameters.set(name, str(index))
    parameters.set("Reach", "range")
