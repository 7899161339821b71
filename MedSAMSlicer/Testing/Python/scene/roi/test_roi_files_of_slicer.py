"""ROI files that Slicer saved are read, without Slicer, as Slicer shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.io.roi_file import read_roi  # noqa: E402
from MedSAMSlicerLib.scene.roi.conversion import roi_corners  # noqa: E402


def saved_by_slicer(scene_builder: Any, roi: Any, path: Path, system: str = "LPS") -> Path:
    storage = slicer.vtkMRMLMarkupsROIJsonStorageNode()
    scene_builder.scene.AddNode(storage)
    storage.SetFileName(str(path))
    storage.SetCoordinateSystem(getattr(storage, f"CoordinateSystem{system}"))
    assert storage.WriteData(roi)
    assert json.loads(path.read_text())["markups"][0]["coordinateSystem"] == system
    return path


def shown_by_slicer(path: Path, system: str) -> np.ndarray:
    """Corners of the ROI that Slicer makes of a file."""
    storage, roi = slicer.vtkMRMLMarkupsROIJsonStorageNode(), slicer.vtkMRMLMarkupsROINode()
    storage.SetFileName(str(path))
    # Slicer reads the box before it reads this property, so it has to know it beforehand.
    storage.SetCoordinateSystem(getattr(storage, f"CoordinateSystem{system}"))
    assert storage.ReadData(roi)
    return roi_corners(roi)


def in_order(corners: np.ndarray) -> np.ndarray:
    """(8, 3) corners of one box in an order that does not depend on which way its axes point."""
    return np.array(sorted(np.round(corners, 4).tolist()))


def assert_same_box(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(in_order(one), in_order(other), atol=1e-3)


@pytest.mark.parametrize("system", ["LPS", "RAS"])
@pytest.mark.parametrize("angles", [(0, 0, 0), (20, 30, 40), (-70, 5, 120)])
def test_a_box_of_any_rotation(scene_builder: Any, turn: Callable, tmp_path: Path, system: str, angles: tuple) -> None:
    roi = scene_builder.roi((11, -22, 33), (4, 6, 8), turned=turn(*angles))
    path = saved_by_slicer(scene_builder, roi, tmp_path / "r.mrk.json", system)
    assert_same_box(read_roi(path).corners, roi_corners(roi))


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, 30, 40)])
def test_a_bounding_box_of_control_points(scene_builder: Any, turn: Callable, tmp_path: Path, angles: tuple) -> None:
    roi = scene_builder.roi((0, 0, 0), (1, 1, 1), turned=turn(*angles))
    roi.SetROIType(roi.ROITypeBoundingBox)
    roi.RemoveAllControlPoints()
    for point in ((-3, 0, 1), (5, 6, 7), (2, 2, 9)):
        roi.AddControlPointWorld(*point)
    path = saved_by_slicer(scene_builder, roi, tmp_path / "bounding.mrk.json")
    assert_same_box(read_roi(path).corners, roi_corners(roi))


def test_files_that_other_programs_wrote_or_somebody_edited(tmp_path: Path) -> None:
    """Slicer straightens slanted axes and moves a box to its control point."""
    random = np.random.default_rng(0)
    for number in range(40):
        system, center = ("LPS", "RAS")[number % 2], random.uniform(-50, 50, 3)
        axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
        if number % 3 == 0:
            axes = axes + random.normal(scale=0.2, size=(3, 3))
        markup = {
            "type": "ROI",
            "coordinateSystem": system,
            "roiType": "Box",
            "center": center.tolist(),
            "orientation": axes.ravel().tolist(),
            "size": random.uniform(1, 60, 3).tolist(),
            "controlPoints": [{"id": "1", "position": (center + number % 4).tolist()}],
        }
        path = tmp_path / "r.mrk.json"
        path.write_text(json.dumps({"markups": [markup]}))
        assert_same_box(read_roi(path).corners, shown_by_slicer(path, system))
