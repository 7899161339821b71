"""A segment on one slice, however slice and segment lie to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vtk.util.numpy_support import numpy_to_vtk

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.editing.segment_slice import segment_on_slice  # noqa: E402
from MedSAMSlicerLib.scene.volume.geometry import ijk_to_world, node_to_world, to_matrix  # noqa: E402
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack  # noqa: E402
from MedSAMSlicerLib.scene.volume.view_plane import Plane  # noqa: E402


def put(segmentation: Any, name: str, mask: np.ndarray, to_node: np.ndarray, first: tuple[int, int, int]) -> None:
    """(k, j, i) voxels, the first of which is voxel (i, j, k) `first` of the matrix."""
    image = slicer.vtkOrientedImageData()
    ends = [n for low, size in zip(first, mask.shape[::-1], strict=True) for n in (low, low + size - 1)]
    image.SetExtent(ends)
    image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    image.SetImageToWorldMatrix(to_matrix(to_node))
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(image, segmentation, name)


def test_in_the_volumes_own_voxels_every_pixel_is_its_voxel(scene_builder: Any, geometry: str, axis: str) -> None:
    volume = scene_builder.volume_in(geometry)
    segmentation = scene_builder.segmentation(volume, "a", "b")
    mask = np.random.default_rng(1).random((9, 12, 14)) > 0.6
    to_node = np.linalg.inv(node_to_world(segmentation)) @ ijk_to_world(volume)
    put(segmentation, "a", mask, to_node, (0, 0, 0))
    # The second segment shares the first one's labelmap: another value, other voxels.
    put(segmentation, "b", ~mask, to_node, (0, 0, 0))
    stack = SliceStack(volume, axis)
    for index in (0, stack.shape[0] - 1):
        expected = np.take(mask, index, axis="KJI".index(axis))
        assert (segment_on_slice(segmentation, "a", stack, index) == expected).all()
        assert (segment_on_slice(segmentation, "b", stack, index) == ~expected).all()


def test_a_segment_in_voxels_of_its_own_is_looked_up_at_each_centre(scene_builder: Any, turn: Any) -> None:
    """Its voxels are turned against the volume's, and the slice against both."""
    volume = scene_builder.volume_in("oblique")
    segmentation = scene_builder.segmentation(volume, "a")
    mask = np.random.default_rng(1).random((10, 9, 8)) > 0.5
    to_world = np.eye(4)
    middle = (ijk_to_world(volume) @ [7, 6, 4, 1])[:3]
    to_world[:3, :3] = turn(10, 20, 30) @ np.diag([2.0, 1.7, 1.1])
    to_world[:3, 3] = middle - to_world[:3, :3] @ [7, 6, 8]
    put(segmentation, "a", mask, to_world, (3, 2, 4))
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = turn(-40, 15, 5), middle
    stack = Plane(None, tuple(view.ravel().tolist())).stack(volume)
    index = stack.shape[0] // 2
    found = segment_on_slice(segmentation, "a", stack, index)
    assert found.any() and not found.all()
    for row, column in np.ndindex(*found.shape):
        position = stack.slice_to_world(index) @ [column, row, 0, 1]
        i, j, k = (round(n) for n in (np.linalg.inv(to_world) @ position)[:3])
        inside = 3 <= i < 11 and 2 <= j < 11 and 4 <= k < 14
        assert found[row, column] == (inside and bool(mask[k - 4, j - 2, i - 3])), (row, column)


def test_an_empty_segment_is_on_no_slice(scene_builder: Any) -> None:
    volume = scene_builder.volume_in("axes permuted")
    assert not segment_on_slice(scene_builder.segmentation(volume, "a"), "a", SliceStack(volume, "K"), 3).any()
