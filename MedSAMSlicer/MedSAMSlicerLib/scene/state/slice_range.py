"""How far from the key slices a run may go, as the options say it."""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ..volume.view_plane import Plane
from .effect_parameters import EffectParameters


def reach_of(parameters: EffectParameters, plane: Plane, keys: Iterable[int]) -> tuple[int, int] | None:
    """First and last slice that a run may come to; None: as far as the object goes.

    Raises:
        InputError: a start and an end were asked for and are not chosen, not in this plane, or leave out a key slice;
            or only one slice was asked for and there are several key slices.
    """
    keys = sorted(keys)
    if parameters.reach == "object":
        return None
    if parameters.reach == "slice":
        if len(keys) > 1:
            raise InputError(
                _(
                    "there are {count} key slices and the reach is one slice: choose another reach, or remove some"
                ).format(count=len(keys))
            )
        return (keys[0], keys[0])
    start, end = parameters.number("ReachStart"), parameters.number("ReachEnd")
    if start < 0 or end < 0:
        raise InputError(_("the reach has no start or no end: go to that slice and click 'From here' or 'To here'"))
    if parameters.get("ReachPlane") != plane.text():
        raise InputError(_("start and end of the reach are of slices in another plane: set them again in this one"))
    first, last = min(start, end), max(start, end)
    outside = [index for index in keys if not first <= index <= last]
    if outside:
        raise InputError(
            _("key slice {index} lies outside slices {first} to {last}: widen the reach, or remove it").format(
                index=outside[0], first=first, last=last
            )
        )
    return (first, last)


def set_reach_end(parameters: EffectParameters, name: str, index: int, plane: Plane) -> None:
    """Make slice `index` the start ("ReachStart") or the end ("ReachEnd"). What was chosen in another plane goes."""
    if parameters.get("ReachPlane") != plane.text():
        parameters.set("ReachStart", "-1")
        parameters.set("ReachEnd", "-1")
        parameters.set("ReachPlane", plane.text())
    parameters.set(name, str(index))
    parameters.set("Reach", "range")
