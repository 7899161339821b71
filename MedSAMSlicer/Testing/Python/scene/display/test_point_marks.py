"""Markers lie on their points, and differ in shape and colour by label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.prompts import Points

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.display.point_marks import NEGATIVE, POSITIVE, PointMarks  # noqa: E402
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack  # noqa: E402
from MedSAMSlicerLib.scene.volume.view_plane import ViewGeometry  # noqa: E402

POINTS = Points(((3, 2), (10.25, 7.5)), (True, False))


def view_of(scene_builder: Any, stack: SliceStack, index: float) -> ViewGeometry:
    """Rotated by 90 degrees, and flipped."""
    node = scene_builder.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    node.SetDimensions(150, 130, 1)
    node.SetFieldOfView(30, 26, 1)
    along = stack.slice_to_world(0)[:3, :3]
    along = along / np.linalg.norm(along, axis=0)
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([-along[:, 1], along[:, 0], along[:, 2]])
    matrix[:3, 3] = (stack.slice_to_world(0) @ [6, 5, index, 1])[:3]
    node.GetSliceToRAS().DeepCopy(matrix.ravel())
    node.UpdateMatrices()
    return ViewGeometry.of(node)


def test_marks_lie_on_their_points_in_views_of_their_slice_only(scene_builder: Any) -> None:
    stack = SliceStack(scene_builder.volume_in("oblique"), "K")
    marks = PointMarks()
    view = view_of(scene_builder, stack, 4)
    assert marks.show(stack, 4, POINTS, view)
    for centre, (x, y) in zip(marks.centres, POINTS.coordinates, strict=True):
        world_position = view.to_world((centre[0], centre[1]))
        assert world_position == pytest.approx((stack.slice_to_world(4) @ [x, y, 0, 1])[:3], abs=1e-6)
    assert all(actor.GetVisibility() for actor in marks.actors)
    assert not marks.show(stack, 4, POINTS, view_of(scene_builder, stack, 5))
    assert not any(actor.GetVisibility() for actor in marks.actors)


def test_plus_and_minus_differ_in_shape_and_colour(scene_builder: Any) -> None:
    stack = SliceStack(scene_builder.volume_in("oblique"), "K")
    marks = PointMarks()
    view = view_of(scene_builder, stack, 4)
    lines = marks.actors[1].GetMapper().GetInput()
    colors, counts = {}, {}
    for sign in (True, False):
        marks.show(stack, 4, Points(((3, 2),), (sign,)), view)
        counts[sign] = lines.GetNumberOfCells()
        colors[sign] = vtk_to_numpy(lines.GetCellData().GetScalars())
        corners = vtk_to_numpy(lines.GetPoints().GetData())[:, :2]
        assert np.abs(corners - marks.centres[0]).max() < 10
    assert counts == {True: 3, False: 2}, "a ring and one stroke more"
    for sign, color in ((True, POSITIVE), (False, NEGATIVE)):
        assert (colors[sign] == np.round(255 * np.array(color))).all()
