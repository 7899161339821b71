"""Reads an ROI from the Markups file that Slicer saves (`.mrk.json`)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _

_ROI_TYPES = ("Box", "BoundingBox")
# Sine of the angle below which two axes of an ROI count as one.
_SAME_DIRECTION = 1e-3
_COORDINATE_SYSTEMS = {
    "LPS": slicer.vtkMRMLStorageNode.CoordinateSystemLPS,
    "RAS": slicer.vtkMRMLStorageNode.CoordinateSystemRAS,
}


def load_roi(path: str | Path, scene: slicer.vtkMRMLScene | None = None) -> slicer.vtkMRMLMarkupsROINode:
    """The one ROI of a `.mrk.json` file as a node, with its rotation; coordinates LPS or RAS as the file says.

    Args:
        path: file that Slicer saved.
        scene: where the node is added; None: the node belongs to no scene.

    Raises:
        InputError: the file cannot be read, holds no ROI, several markups or another kind, or lacks a part of the box;
            the ROI is inside out, or a bounding box of fewer than two control points.
    """
    path = Path(path)
    markup = _only_roi(path)
    size, _center, orientation = (
        _numbers(path, markup, name, count) for name, count in (("size", 3), ("center", 3), ("orientation", 9))
    )
    _check_orientation(path, np.reshape(orientation, (3, 3)))
    _check_kind(path, markup)
    system = markup.get("coordinateSystem", "LPS")
    if system not in _COORDINATE_SYSTEMS:
        raise InputError(
            _("ROI file {path} has the coordinate system {system!r}: save it in LPS or RAS").format(
                path=path, system=system
            )
        )
    units = markup.get("coordinateUnits", "mm")
    if (units[0] if isinstance(units, list) and units else units) != "mm":
        raise InputError(_("ROI file {path} is not in millimetres: save it again from Slicer").format(path=path))

    storage = slicer.vtkMRMLMarkupsROIJsonStorageNode()
    storage.SetFileName(str(path))
    # The storage node reads the box before it reads this property, so it has to know it beforehand.
    storage.SetCoordinateSystem(_COORDINATE_SYSTEMS[system])
    node = slicer.vtkMRMLMarkupsROINode()
    if not storage.ReadData(node):
        raise InputError(_("ROI file {path} cannot be read: save it again from Slicer").format(path=path))
    # A file without control points leaves the box with no size.
    node.SetSize(*size)
    if not node.GetName():
        node.SetName(path.name.removesuffix(".json").removesuffix(".mrk"))
    if scene is not None:
        scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
    return node


def _only_roi(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(_("ROI file {path} does not exist: check the path").format(path=path)) from None
    except OSError as error:
        raise InputError(
            _("ROI file {path} cannot be read ({strerror}): check the path").format(path=path, strerror=error.strerror)
        ) from None
    except ValueError:
        raise InputError(
            _("ROI file {path} is not JSON: give a Markups file of Slicer (.mrk.json)").format(path=path)
        ) from None
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
        raise InputError(
            _("ROI file {path} holds no markups: give a Markups file of Slicer (.mrk.json)").format(path=path)
        )
    kinds = [str(markup.get("type")) for markup in markups]
    if "ROI" not in kinds:
        found = _("only {kinds}").format(kinds=", ".join(kinds)) if kinds else _("nothing")
        raise InputError(
            _("ROI file {path} holds no ROI, {found}: save an ROI from Slicer's Markups module").format(
                path=path, found=found
            )
        )
    if len(kinds) > 1:
        raise InputError(
            _("ROI file {path} holds {count} markups ({kinds}): save one ROI by itself").format(
                path=path, count=len(kinds), kinds=", ".join(kinds)
            )
        )
    return markups[0]


def _check_orientation(path: Path, axes: np.ndarray) -> None:
    lengths = np.linalg.norm(axes, axis=0)
    if not lengths.all() or abs(np.linalg.det(axes / lengths)) < _SAME_DIRECTION:
        raise InputError(
            _(
                "the orientation of the ROI in {path} is no rotation (an axis is zero or two are the same): "
                "save it again from Slicer"
            ).format(path=path)
        )


def _check_kind(path: Path, markup: dict[str, Any]) -> None:
    kind = markup.get("roiType", "Box")
    if kind not in _ROI_TYPES:
        raise InputError(
            _("the ROI in {path} is of the type {kind!r}: save one of the type Box from Slicer").format(
                path=path, kind=kind
            )
        )
    points = markup.get("controlPoints")
    count = len(points) if isinstance(points, list) else 0
    if kind == "BoundingBox" and count < 2:
        raise InputError(
            _(
                "the ROI in {path} is a bounding box of too few control points ({count}), so it has no "
                "extent: place more around the object, or save an ROI of the type Box"
            ).format(path=path, count=count)
        )
    if markup.get("insideOut"):
        raise InputError(
            _(
                "the ROI in {path} is inside out, so it means all but the box: switch 'Inside out' off in Slicer and save "
                "it again"
            ).format(path=path)
        )


def _numbers(path: Path, markup: dict[str, Any], name: str, count: int) -> list[float]:
    values = markup.get(name)
    if values is None:
        raise InputError(_("the ROI in {path} has no {name}: save it again from Slicer").format(path=path, name=name))
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    ):
        raise InputError(
            _("the {name} of the ROI in {path} is not {count} numbers: save it again from Slicer").format(
                name=name, path=path, count=count
            )
        )
    return [float(v) for v in values]
