"""Reads an ROI from a Markups file that Slicer saved (`.mrk.json`)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.errors import InputError, shown
from ..engine.volume.affine import box_corners, transform_points

_ROI_TYPES = ("Box", "BoundingBox")
# Sine of the angle below which two axes of an ROI count as one.
_SAME_DIRECTION = 1e-3
_TO_RAS = {"LPS": np.diag([-1.0, -1.0, 1.0]), "RAS": np.eye(3)}


@dataclass(frozen=True, eq=False)
class Roi:
    """A box of any rotation.

    Attributes:
        name: for messages.
        center: (3,) RAS mm.
        edges: (3, 3) columns are the box's edges in RAS mm, perpendicular to each other.
    """

    name: str
    center: np.ndarray
    edges: np.ndarray

    @property
    def corners(self) -> np.ndarray:
        """(8, 3) RAS mm, as `box_corners` orders them."""
        box_to_ras = np.eye(4)
        box_to_ras[:3, :3], box_to_ras[:3, 3] = self.edges, self.center
        return transform_points(box_to_ras, box_corners(np.full(3, -0.5), np.full(3, 0.5)))


def read_roi(path: str | Path) -> Roi:
    """Read the only ROI of a `.mrk.json` file, as Slicer shows it.

    Args:
        path: file that Slicer saved, in LPS or RAS. The format is Slicer's markups schema (``markups-schema.json``).

    Raises:
        InputError: the file cannot be read, contains no ROI, several markups or another kind of markup, or lacks a part
            of the box; the ROI is empty, inside out, or a bounding box of fewer than two control points.
    """
    if not isinstance(path, str | Path):
        raise InputError(f"the ROI is {shown(path)}: give the path of a .mrk.json file")
    path = Path(path)
    markup = _only_roi(path)
    size, center, orientation = (
        _numbers(path, markup, name, count) for name, count in (("size", 3), ("center", 3), ("orientation", 9))
    )
    axes = orientation.reshape(3, 3)
    _check_orientation(path, axes)
    _check_kind(path, markup)
    to_ras = _to_ras(path, markup)
    name = f"ROI '{markup.get('name') or path.name.removesuffix('.json').removesuffix('.mrk')}'"
    if not (size > 0).all():
        raise InputError(f"{name} is empty: draw it so that it has width, height and depth")
    # Slicer straightens slanted axes, the first one fixed, and keeps their lengths. Which way an axis points does not
    # matter to a box.
    straight = np.linalg.qr(axes)[0] * np.linalg.norm(axes, axis=0)
    return Roi(name, to_ras @ _shown_center(path, markup, center), to_ras @ straight * size)


def _only_roi(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"ROI file {path} does not exist: check the path") from None
    except OSError as error:
        raise InputError(f"ROI file {path} cannot be read ({error.strerror}): check the path") from None
    except ValueError:
        raise InputError(f"ROI file {path} is not JSON: give a Markups file of Slicer (.mrk.json)") from None
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
        raise InputError(f"ROI file {path} holds no markups: give a Markups file of Slicer (.mrk.json)")
    kinds = [str(markup.get("type")) for markup in markups]
    if "ROI" not in kinds:
        found = f"only {', '.join(kinds)}" if kinds else "nothing"
        raise InputError(f"ROI file {path} holds no ROI, {found}: save an ROI from Slicer's Markups module")
    if len(kinds) > 1:
        raise InputError(f"ROI file {path} holds {len(kinds)} markups ({', '.join(kinds)}): save one ROI by itself")
    return markups[0]


def _numbers(path: Path, markup: dict[str, Any], name: str, count: int) -> np.ndarray:
    values = markup.get(name)
    if values is None:
        raise InputError(f"the ROI in {path} has no {name}: save it again from Slicer")
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    ):
        raise InputError(f"the {name} of the ROI in {path} is not {count} numbers: save it again from Slicer")
    return np.array(values, float)


def _check_orientation(path: Path, axes: np.ndarray) -> None:
    lengths = np.linalg.norm(axes, axis=0)
    if not lengths.all() or abs(np.linalg.det(axes / lengths)) < _SAME_DIRECTION:
        raise InputError(
            f"the orientation of the ROI in {path} is no rotation (an axis is zero or two are the same): "
            "save it again from Slicer"
        )


def _check_kind(path: Path, markup: dict[str, Any]) -> None:
    kind = markup.get("roiType", "Box")
    if kind not in _ROI_TYPES:
        raise InputError(f"the ROI in {path} is of the type {kind!r}: save one of the type Box from Slicer")
    points = markup.get("controlPoints")
    count = len(points) if isinstance(points, list) else 0
    if kind == "BoundingBox" and count < 2:
        raise InputError(
            f"the ROI in {path} is a bounding box of too few control points ({count}), so it has no extent: place more "
            "around the object, or save an ROI of the type Box"
        )
    if markup.get("insideOut"):
        raise InputError(
            f"the ROI in {path} is inside out, so it means all but the box: switch 'Inside out' off in Slicer and save "
            "it again"
        )


def _to_ras(path: Path, markup: dict[str, Any]) -> np.ndarray:
    """(3, 3) matrix from the file's coordinate system to RAS. Raises InputError if that or the unit is unknown."""
    system = markup.get("coordinateSystem", "LPS")
    if system not in _TO_RAS:
        raise InputError(f"ROI file {path} has the coordinate system {system!r}: save it in LPS or RAS")
    units = markup.get("coordinateUnits", "mm")
    if (units[0] if isinstance(units, list) and units else units) != "mm":
        raise InputError(f"ROI file {path} is not in millimetres: save it again from Slicer")
    return _TO_RAS[system]


def _shown_center(path: Path, markup: dict[str, Any], center: np.ndarray) -> np.ndarray:
    """Where Slicer shows the box: it moves a Box to the first control point, which a file edited by hand may place elsewhere."""
    points = markup.get("controlPoints")
    first = points[0] if isinstance(points, list) and points else None
    if markup.get("roiType", "Box") != "Box" or not isinstance(first, dict) or "position" not in first:
        return center
    return _numbers(path, first, "position", 3)
