"""ROI files that Slicer saved are read as Slicer shows them; others are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.scene.roi.conversion import load_roi, roi_corners


def saved_by_slicer(scene_builder, roi: Any, path: Path, system: str = "LPS") -> dict[str, Any]:
    storage = slicer.vtkMRMLMarkupsROIJsonStorageNode()
    scene_builder.scene.AddNode(storage)
    storage.SetFileName(str(path))
    storage.SetCoordinateSystem(getattr(storage, f"CoordinateSystem{system}"))
    assert storage.WriteData(roi)
    return json.loads(path.read_text())


@pytest.fixture
def file(scene_builder, turn, tmp_path) -> tuple[Path, dict[str, Any], np.ndarray]:
    """Path, content and corners of a turned ROI."""
    roi = scene_builder.roi((11, -22, 33), (4, 6, 8), turned=turn(20, 30, 40))
    path = tmp_path / "tumour.mrk.json"
    return path, saved_by_slicer(scene_builder, roi, path), roi_corners(roi)


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_a_turned_roi_comes_back_from_either_coordinate_system(scene_builder, turn, tmp_path, system):
    roi = scene_builder.roi((11, -22, 33), (4, 6, 8), turned=turn(20, 30, 40))
    content = saved_by_slicer(scene_builder, roi, tmp_path / "r.mrk.json", system)
    assert content["markups"][0]["coordinateSystem"] == system
    np.testing.assert_allclose(roi_corners(load_roi(tmp_path / "r.mrk.json")), roi_corners(roi), atol=1e-9)


def test_the_roi_can_be_added_to_a_scene(scene_builder, file):
    path, _, corners = file
    roi = load_roi(str(path), scene_builder.scene)
    assert scene_builder.scene.IsNodePresent(roi)
    assert roi.GetDisplayNode() is not None
    np.testing.assert_allclose(roi_corners(roi), corners, atol=1e-9)


def test_a_file_without_control_points_still_has_its_box(file):
    path, content, corners = file
    for name in ("controlPoints", "coordinateUnits", "display", "measurements", "name"):
        content["markups"][0].pop(name, None)
    path.write_text(json.dumps(content))
    roi = load_roi(path)
    np.testing.assert_allclose(roi_corners(roi), corners, atol=1e-9)
    assert roi.GetName() == "tumour"


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_roi(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_files_that_are_no_markups_file_are_refused(tmp_path):
    path = tmp_path / "x.mrk.json"
    assert "does not exist" in refused(path)
    assert "cannot be read" in refused(tmp_path)
    for junk in ("", "{", "center = 3"):
        path.write_text(junk)
        assert "not JSON" in refused(path)
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "not JSON" in refused(path)
    for foreign in ("[]", "3", "{}", '{"markups": 3}', '{"markups": [3]}'):
        path.write_text(foreign)
        assert "holds no markups" in refused(path)


def test_only_a_file_of_one_roi_is_taken(file):
    path, content, _ = file
    box = content["markups"][0]
    for markups, word in (
        ([], "nothing"),
        ([{**box, "type": "Fiducial"}], "only Fiducial"),
        ([{**box, "type": "Plane"}, {**box, "type": "Line"}], "only Plane, Line"),
        ([box, box], "2 markups"),
        ([box, {**box, "type": "Fiducial"}], "2 markups"),
    ):
        path.write_text(json.dumps({**content, "markups": markups}))
        assert word in refused(path)


@pytest.mark.parametrize("part", ["size", "center", "orientation"])
def test_a_box_that_lacks_a_part_is_refused(file, part):
    path, content, _ = file
    good = content["markups"][0].pop(part)
    path.write_text(json.dumps(content))
    assert f"no {part}" in refused(path)
    for bad in (good[:-1], [*good[:-1], "1"], [*good[:-1], True], [*good[:-1], float("nan")], "big"):
        content["markups"][0][part] = bad
        path.write_text(json.dumps(content))
        assert f"the {part}" in refused(path)


@pytest.mark.parametrize("axes", [[0] * 9, [1, 0, 0, 0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 1]], ids=str)
def test_an_orientation_that_spans_no_box_is_named(file, axes):
    path, content, _ = file
    content["markups"][0]["orientation"] = axes
    path.write_text(json.dumps(content))
    assert "the orientation" in (message := refused(path)) and "no rotation" in message


def test_a_bounding_box_needs_control_points_to_have_an_extent(scene_builder, tmp_path):
    roi = scene_builder.roi((0, 0, 0), (1, 1, 1))
    roi.SetROIType(roi.ROITypeBoundingBox)
    roi.RemoveAllControlPoints()
    for point in ((-3, 0, 1), (5, 6, 7), (2, 2, 9)):
        roi.AddControlPointWorld(*point)
    path = tmp_path / "bounding.mrk.json"
    content = saved_by_slicer(scene_builder, roi, path)
    corners = roi_corners(load_roi(path))
    np.testing.assert_allclose(corners, roi_corners(roi), atol=1e-6)
    np.testing.assert_allclose(corners.max(axis=0) - corners.min(axis=0), (8, 6, 8), atol=1e-6)
    for points, words in (
        (content["markups"][0]["controlPoints"][:1], "too few control points (1),"),
        ([], "too few control points (0),"),
        (None, "too few control points (0),"),
    ):
        content["markups"][0]["controlPoints"] = points
        path.write_text(json.dumps(content))
        assert words in (message := refused(path)) and "type Box" in message and "empty" not in message


def test_an_roi_of_a_type_that_is_no_box_is_refused(file):
    path, content, _ = file
    content["markups"][0]["roiType"] = "Sphere"
    path.write_text(json.dumps(content))
    assert "'Sphere'" in refused(path)


def test_an_roi_that_is_inside_out_is_refused(scene_builder, tmp_path):
    roi = scene_builder.roi((11, -22, 33), (4, 6, 8))
    roi.SetInsideOut(True)
    saved_by_slicer(scene_builder, roi, tmp_path / "r.mrk.json")
    assert "inside out" in refused(tmp_path / "r.mrk.json")


def test_other_coordinates_and_units_are_refused(file):
    path, content, _ = file
    path.write_text(json.dumps({**content, "markups": [{**content["markups"][0], "coordinateSystem": "XYZ"}]}))
    assert "coordinate system" in refused(path)
    for units in ("um", ["um", "UCUM", "micrometer"]):
        path.write_text(json.dumps({**content, "markups": [{**content["markups"][0], "coordinateUnits": units}]}))
        assert "millimetres" in refused(path)
    path.write_text(
        json.dumps({**content, "markups": [{**content["markups"][0], "coordinateUnits": ["mm", "UCUM", "mm"]}]})
    )
    assert load_roi(path).GetSize() == pytest.approx((4, 6, 8))
