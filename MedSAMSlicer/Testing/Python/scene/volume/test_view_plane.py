"""Planes of slice views: an index axis of the volume, or the plane of an oblique view."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.volume.oblique_stack import ObliqueStack  # noqa: E402
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack  # noqa: E402
from MedSAMSlicerLib.scene.volume.view_plane import (  # noqa: E402
    Plane,
    ViewGeometry,
    anatomical_plane,
    plane_of,
    position_of,
    slice_name,
)


def slice_view(scene_builder: Any, turned: np.ndarray, at: Any = (0, 0, 0)) -> Any:
    """A slice node of 300 x 200 mm on 600 x 400 pixels, whose x, y and normal are the columns of `turned`."""
    node = scene_builder.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    node.SetDimensions(600, 400, 1)
    node.SetFieldOfView(300, 200, 1)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turned, at
    node.GetSliceToRAS().DeepCopy(matrix.ravel())
    node.UpdateMatrices()
    return node


AXIAL = np.array([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]]).T
SAGITTAL = np.array([[0.0, -1, 0], [0, 0, 1], [-1, 0, 0]]).T
CORONAL = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]).T


@pytest.mark.parametrize(
    ("turned", "axis", "name"), [(AXIAL, "K", "axial"), (SAGITTAL, "I", "sagittal"), (CORONAL, "J", "coronal")]
)
def test_standard_views_of_an_axis_aligned_volume_show_its_index_axes(
    scene_builder: Any, turned: np.ndarray, axis: str, name: str
) -> None:
    volume = scene_builder.volume_in("axes along the patient")
    plane = plane_of(ViewGeometry.of(slice_view(scene_builder, turned)), volume)
    assert plane == Plane(axis)
    assert isinstance(plane.stack(volume), SliceStack)
    assert anatomical_plane(plane.stack(volume)) == name


def test_a_slab_and_the_name_of_a_slice_are_those_of_the_views(scene_builder: Any) -> None:
    node = slice_view(scene_builder, AXIAL)
    node.SetSlabReconstructionThickness(12.0)
    assert ViewGeometry.of(node).slab == 0
    node.SetSlabReconstructionEnabled(True)
    assert ViewGeometry.of(node).slab == 12
    stack = SliceStack(scene_builder.volume_in("axes along the patient"), "K")
    letter, millimetres = position_of(stack, 2)
    assert slice_name(stack, 2) == f"2 ({letter} {millimetres:.1f} mm)"


def test_a_view_aligned_with_an_oblique_volume_shows_an_index_axis(scene_builder: Any, geometry: str) -> None:
    volume = scene_builder.volume_in(geometry)
    stack = SliceStack(volume, "K")
    along_columns, along_rows = stack.slice_to_world(0)[:3, :2].T
    normal = np.cross(along_columns, along_rows)
    across = np.cross(normal, along_columns)
    turned = np.stack([v / np.linalg.norm(v) for v in (along_columns, across, normal)], axis=1)
    assert plane_of(ViewGeometry.of(slice_view(scene_builder, turned)), volume) == Plane("K")
    turned_in_plane = turned @ np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    assert plane_of(ViewGeometry.of(slice_view(scene_builder, turned_in_plane)), volume) == Plane("K")


def test_an_oblique_view_has_its_own_plane_and_keeps_it_when_it_moves(scene_builder: Any, turn: Any) -> None:
    volume = scene_builder.volume_in("axes along the patient")
    turned = turn(0, 25, 0) @ AXIAL
    view = ViewGeometry.of(slice_view(scene_builder, turned))
    plane = plane_of(view, volume)
    assert plane.axis is None
    assert isinstance(plane.stack(volume), ObliqueStack)
    moved = ViewGeometry.of(slice_view(scene_builder, turned, at=(3, 4, 5)))
    assert plane.is_shown_by(moved, volume)
    assert not plane.is_shown_by(ViewGeometry.of(slice_view(scene_builder, AXIAL)), volume)
    assert not Plane("K").is_shown_by(view, volume)


def test_a_view_is_oblique_from_a_deviation_of_half_a_slice(scene_builder: Any, turn: Any) -> None:
    volume = scene_builder.volume_in("axes along the patient", shape=(9, 120, 140))  # 156 mm along J, slices of 3.1 mm
    slightly = np.degrees(0.4 * 3.1 / 78)
    assert plane_of(ViewGeometry.of(slice_view(scene_builder, turn(slightly, 0, 0) @ AXIAL)), volume).axis == "K"
    assert plane_of(ViewGeometry.of(slice_view(scene_builder, turn(2 * slightly, 0, 0) @ AXIAL)), volume).axis is None


def test_a_plane_is_serialised_as_text(scene_builder: Any, turn: Any) -> None:
    volume = scene_builder.volume_in("axes along the patient")
    oblique = plane_of(ViewGeometry.of(slice_view(scene_builder, turn(0, 25, 0) @ AXIAL)), volume)
    for plane in (Plane("I"), oblique):
        assert Plane.from_text(plane.text()) == plane
    for text in ("L", "[1, 2]", "", '{"a": 1}'):
        with pytest.raises(InputError):
            Plane.from_text(text)


def test_positions_are_those_that_slicer_displays(scene_builder: Any) -> None:
    volume = scene_builder.volume_in("axes along the patient")
    assert position_of(SliceStack(volume, "K"), 2) == ("S", pytest.approx(7 + 2 * 3.1))
    assert position_of(SliceStack(volume, "I"), 3) == ("R", pytest.approx(-12 + 3 * 0.8))
    flipped = scene_builder.volume_in("directions flipped")
    assert position_of(SliceStack(flipped, "J"), 1) == ("A", pytest.approx(30 - 1.3))
