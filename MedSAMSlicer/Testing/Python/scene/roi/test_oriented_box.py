"""Which voxels a slanted ROI holds: those that Slicer says it holds, on slices along every axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.volume.oriented_box import OrientedBox
from MedSAMSlicerLib.scene.roi.conversion import prompt_to_roi, roi_corners, roi_to_prompt
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack


def oriented_box(roi: Any, stack: SliceStack) -> OrientedBox | None:
    return OrientedBox.from_corners(roi_corners(roi), stack.ijk_to_world, stack.dimensions, "the ROI")


def voxels(solid: OrientedBox, stack: SliceStack) -> np.ndarray:
    """(k, j, i): the solid on all slices of a stack."""
    slices, rows, columns = stack.shape
    inside = np.stack([solid.on_slice(stack.slice_to_world(n), rows, columns) for n in range(slices)])
    return np.asarray(stack.to_volume(inside))


@pytest.mark.parametrize("angles", [(0, 0, 30), (25, 0, 0), (10, 50, -70)])
def test_it_holds_what_slicer_says_it_holds(
    scene_builder: Any, geometry: str, axis: str, turn: Callable, world_points: Callable, angles: tuple[float, ...]
) -> None:
    volume = scene_builder.volume_in(geometry)
    centres = world_points(volume)
    roi = scene_builder.roi(center=centres[4, 6, 7], size=(5.0, 9.0, 7.0), turned=turn(*angles))
    points = centres.reshape(-1, 3).tolist()
    expected = np.array([roi.IsPointInROIWorld(point) for point in points]).reshape(centres.shape[:3])
    stack = SliceStack(volume, axis)
    solid = oriented_box(roi, stack)
    found = np.ones(centres.shape[:3], bool) if solid is None else voxels(solid, stack)
    if solid is None:
        box = roi_to_prompt(roi, stack).stack
        found = np.zeros(stack.shape, bool)
        x0, y0, x1, y1 = (int(n) for n in box.box3d.xyxy)
        found[box.slice_range[0] : box.slice_range[1] + 1, y0 : y1 + 1, x0 : x1 + 1] = True
        found = stack.to_volume(found)
    # A centre on a face counts, and may lie outside by a rounding error.
    roi.SetSize(5.02, 9.02, 7.02)
    at_most = np.array([roi.IsPointInROIWorld(point) for point in points]).reshape(expected.shape)
    assert expected.any() and not expected.all()
    assert not (expected & ~found).any() and not (found & ~at_most).any()


def test_an_roi_along_the_volumes_axes_is_its_box_of_voxels(scene_builder: Any, axis: str) -> None:
    stack = SliceStack(scene_builder.volume_in("left-handed and oblique"), axis)
    roi = scene_builder.roi(center=(0, 0, 0), size=(1, 1, 1))
    prompt = roi_to_prompt(scene_builder.roi(center=stack.slice_to_world(3)[:3, 3], size=(4, 4, 4)), stack).stack
    prompt_to_roi(roi, stack, *prompt.slice_range, prompt.box3d)
    assert oriented_box(roi, stack) is None


def test_a_thin_roi_does_not_pass_between_the_voxels(scene_builder: Any, turn: Callable) -> None:
    stack = SliceStack(scene_builder.volume(np.zeros((12, 40, 40), np.uint8), (1.0, 1.0, 3.0)), "K")
    middle = stack.slice_to_world(5) @ [20, 20, 0.5, 1]
    roi = scene_builder.roi(center=middle[:3], size=(20, 20, 0.01), turned=turn(0, 0, 20))
    found = voxels(oriented_box(roi, stack), stack)
    assert 300 < found.sum() < 900


def test_numbers_that_are_no_box_are_refused() -> None:
    assert OrientedBox.from_content(None) is None
    for wrong in ([1.0, 2.0], ["a"] * 12, [float("nan")] * 12, 7):
        with pytest.raises(InputError, match="use the ROI again"):
            OrientedBox.from_content(wrong)  # type: ignore[arg-type]
