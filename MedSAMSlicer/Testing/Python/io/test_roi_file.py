"""ROI files are read without Slicer; what is no usable ROI is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.io.roi_file import read_roi

File = tuple[Path, dict[str, Any]]


@pytest.fixture
def file(tmp_path: Path) -> File:
    """Path and content of an ROI turned by 30 degrees about the superior-inferior axis."""
    turned = [[np.cos(np.pi / 6), -0.5, 0], [0.5, np.cos(np.pi / 6), 0], [0, 0, 1]]
    center = [11.0, -22.0, 33.0]
    markup = {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "name": "R",
        "roiType": "Box",
        "center": center,
        "orientation": np.ravel(turned).tolist(),
        "size": [4.0, 6.0, 8.0],
        "insideOut": False,
        "controlPoints": [{"id": "1", "label": "R-1", "position": center, "positionStatus": "defined"}],
    }
    path, content = tmp_path / "tumour.mrk.json", {"markups": [markup]}
    path.write_text(json.dumps(content))
    return path, content


def written(file: File, **changes: Any) -> Path:
    path, content = file
    path.write_text(json.dumps({**content, "markups": [{**content["markups"][0], **changes}]}))
    return path


def test_center_edges_and_name_are_those_of_the_file_in_ras(file: File) -> None:
    roi = read_roi(str(file[0]))
    assert roi.name == "ROI 'R'"
    np.testing.assert_allclose(roi.center, [-11, 22, 33])
    np.testing.assert_allclose(np.linalg.norm(roi.edges, axis=0), [4, 6, 8])
    np.testing.assert_allclose(np.abs(roi.edges[:, 0]), [4 * np.cos(np.pi / 6), 2, 0], atol=1e-12)
    assert roi.edges[0, 0] * roi.edges[1, 0] > 0, "LPS to RAS turns the box, it does not mirror it"
    np.testing.assert_allclose(roi.corners.mean(axis=0), roi.center)


def test_a_file_without_the_optional_parts_still_has_its_box(file: File) -> None:
    path, content = file
    corners = read_roi(path).corners
    for name in ("controlPoints", "coordinateUnits", "coordinateSystem", "roiType", "insideOut", "name"):
        content["markups"][0].pop(name)
    path.write_text(json.dumps(content))
    roi = read_roi(path)
    np.testing.assert_allclose(roi.corners, corners)
    assert roi.name == "ROI 'tumour'"


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_roi(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_files_that_are_no_markups_file_are_refused(tmp_path: Path) -> None:
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


def test_only_a_file_of_one_roi_is_taken(file: File) -> None:
    path, content = file
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
def test_a_box_that_lacks_a_part_is_refused(file: File, part: str) -> None:
    path, content = file
    good = content["markups"][0].pop(part)
    path.write_text(json.dumps(content))
    assert f"no {part}" in refused(path)
    for bad in (good[:-1], [*good[:-1], "1"], [*good[:-1], True], [*good[:-1], float("nan")], "big"):
        content["markups"][0][part] = bad
        path.write_text(json.dumps(content))
        assert f"the {part}" in refused(path)


@pytest.mark.parametrize("axes", [[0] * 9, [1, 0, 0, 0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 1]], ids=str)
def test_an_orientation_that_spans_no_box_is_named(file: File, axes: list[float]) -> None:
    path, content = file
    content["markups"][0]["orientation"] = axes
    path.write_text(json.dumps(content))
    assert "the orientation" in (message := refused(path)) and "no rotation" in message


def test_a_bounding_box_needs_control_points_to_have_an_extent(file: File) -> None:
    points = [{"id": str(n), "position": [n, 0.0, 0.0]} for n in range(3)]
    assert read_roi(written(file, roiType="BoundingBox", controlPoints=points)).edges.shape == (3, 3)
    for few, words in (
        (points[:1], "too few control points (1),"),
        ([], "too few control points (0),"),
        (None, "too few control points (0),"),
    ):
        message = refused(written(file, roiType="BoundingBox", controlPoints=few))
        assert words in message and "type Box" in message and "empty" not in message


@pytest.mark.parametrize("size", [[0, 4, 4], [4, 4, 0], [4, -1, 4]], ids=str)
def test_an_empty_roi_is_refused(file: File, size: list[float]) -> None:
    with pytest.raises(InputError, match="ROI 'R' is empty"):
        read_roi(written(file, size=size))


def test_an_roi_of_a_type_that_is_no_box_is_refused(file: File) -> None:
    path, content = file
    content["markups"][0]["roiType"] = "Sphere"
    path.write_text(json.dumps(content))
    assert "'Sphere'" in refused(path)


def test_an_roi_that_is_inside_out_is_refused(file: File) -> None:
    assert "inside out" in refused(written(file, insideOut=True))


def test_other_coordinates_and_units_are_refused(file: File) -> None:
    assert "coordinate system" in refused(written(file, coordinateSystem="XYZ"))
    for units in ("um", ["um", "UCUM", "micrometer"]):
        assert "millimetres" in refused(written(file, coordinateUnits=units))
    assert read_roi(written(file, coordinateUnits=["mm", "UCUM", "mm"])).name == "ROI 'R'"


def test_a_control_point_without_a_usable_position_is_refused(file: File) -> None:
    assert "the position" in refused(written(file, controlPoints=[{"id": "1", "position": "here"}]))
