"""Overlays have the geometry of the slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.results import SliceResult

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.display.overlay import StackImage, ViewOverlay, ViewRectangle, mask_colors, outline_in_view  # noqa: E402
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack  # noqa: E402
from MedSAMSlicerLib.scene.volume.view_plane import ViewGeometry  # noqa: E402

RED = (1.0, 0.0, 0.0)


def view_on(scene_builder: Any, turned: np.ndarray, at: np.ndarray) -> ViewGeometry:
    node = scene_builder.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    node.SetDimensions(150, 130, 1)
    node.SetFieldOfView(30, 26, 1)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turned, at
    node.GetSliceToRAS().DeepCopy(matrix.ravel())
    node.UpdateMatrices()
    return ViewGeometry.of(node)


def seen(overlay: ViewOverlay) -> np.ndarray:
    image = overlay.pixels()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*image.GetDimensions()[1::-1], 4)


@pytest.mark.parametrize("angles", [(0, 0, 0), (0, 0, 30), (25, -40, 10)], ids=["aligned", "turned", "oblique"])
def test_every_view_pixel_shows_the_voxel_under_it(
    scene_builder: Any, geometry: str, turn: Any, world_points: Any, angles: tuple[float, ...]
) -> None:
    volume = scene_builder.volume_in(geometry)
    mask = np.random.default_rng(2).random(slicer.util.arrayFromVolume(volume).shape) > 0.5
    stack = SliceStack(volume, "K")
    image = StackImage(stack)
    for index in range(stack.shape[0]):
        image.put_result(SliceResult(index, mask[index], None, 1.0, 1.0, False))
    view = view_on(scene_builder, turn(*angles), world_points(volume).reshape(-1, 3).mean(axis=0) + 0.01)
    overlay = ViewOverlay(mask_colors(RED, 0.5))
    overlay.show(image, view)
    pixels = seen(overlay)
    y, x = np.indices(pixels.shape[:2])
    points = (
        np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3) @ view.xy_to_world[:3, :3].T
        + view.xy_to_world[:3, 3]
    )
    position = stack.world_to_slice(points)
    nearest = np.floor(position + 0.5).astype(int)
    inside = ((nearest >= 0) & (nearest < stack.shape)).all(axis=1)
    # Pixels on the very edge between two voxels may fall to either side.
    clear = (np.abs(position - nearest) < 0.499).all(axis=1)
    expected = np.zeros(len(points), bool)
    expected[inside] = mask[tuple(nearest[inside].T)]
    shown = pixels.reshape(-1, 4)
    assert (shown[clear, 3] > 0)[inside[clear]].mean() > 0.2
    assert ((shown[clear, 3] > 0) == expected[clear]).all()
    assert (shown[shown[:, 3] > 0, :3] == (255, 0, 0)).all()


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, -40, 10)], ids=["aligned", "oblique"])
def test_the_outline_runs_between_pixels_of_the_mask_and_others(
    scene_builder: Any, turn: Any, world_points: Any, angles: tuple[float, ...]
) -> None:
    volume = scene_builder.volume_in("axes along the patient")
    stack = SliceStack(volume, "K")
    image = StackImage(stack)
    mask = np.zeros(stack.shape[1:], bool)
    mask[3:9, 4:11] = True
    for index in range(stack.shape[0]):
        image.put_result(SliceResult(index, mask, None, 1.0, 1.0, False))
    view = view_on(scene_builder, turn(*angles), world_points(volume).reshape(-1, 3).mean(axis=0) + 0.01)
    overlay = ViewOverlay(mask_colors(RED, 0.5))
    overlay.show(image, view)
    assert not overlay.outline.GetVisibility(), "it has no colour yet"
    overlay.set_outline_color(RED)
    overlay.show(image, view)
    assert overlay.outline.GetVisibility() and overlay.outline.GetProperty().GetColor() == RED
    lines = overlay.outline.GetMapper()
    lines.Update()
    found = vtk_to_numpy(lines.GetInput().GetPoints().GetData())[:, :2]
    shown = seen(overlay)[..., 3] > 0
    sideways, upwards = shown[:, :-1] != shown[:, 1:], shown[:-1] != shown[1:]
    edges = {(x + 0.5, y) for y, x in np.argwhere(sideways)} | {(x, y + 0.5) for y, x in np.argwhere(upwards)}
    assert len(edges) > 100 and {tuple(point) for point in found.tolist()} == edges
    overlay.show(None, view)
    assert not overlay.outline.GetVisibility()


def test_putting_a_slice_again_replaces_it(scene_builder: Any) -> None:
    image = StackImage(SliceStack(scene_builder.volume_in("oblique"), "K"), 2, 3)
    mask = np.zeros((12, 14), bool)
    mask[3:5, 3:9] = True
    image.put_result(SliceResult(3, mask, None, 1.0, 1.0, False))
    image.put_result(SliceResult(3, np.roll(mask, 4, axis=0), None, 1.0, 1.0, False))
    assert (image.values[1].astype(bool) == np.roll(mask, 4, axis=0)).all()
    image.put_result(SliceResult(3, np.zeros_like(mask), None, 1.0, 1.0, False))
    assert not image.values.any()


def test_no_image_hides_the_overlay(scene_builder: Any) -> None:
    overlay = ViewOverlay(mask_colors(RED))
    overlay.show(None, view_on(scene_builder, np.eye(3), np.zeros(3)))
    assert not overlay.actor.GetVisibility()


def test_the_rectangle_goes_around_the_outer_edges_of_its_pixels(scene_builder: Any, world_points: Any) -> None:
    volume = scene_builder.volume_in("axes along the patient")
    stack = SliceStack(volume, "K")
    at = world_points(volume)[4, 6, 7]
    view = view_on(scene_builder, np.eye(3), at)
    corners = outline_in_view(stack, 4, Box(7, 6, 7, 6), view)
    assert corners is not None
    size = corners.max(axis=0) - corners.min(axis=0)
    assert size * 0.2 == pytest.approx([0.8, 1.3])
    assert corners.mean(axis=0) == pytest.approx([75, 65])


def test_the_rectangle_is_shown_on_its_own_slice_only(scene_builder: Any, world_points: Any, turn: Any) -> None:
    volume = scene_builder.volume_in("axes along the patient")
    stack, rectangle = SliceStack(volume, "K"), ViewRectangle(RED)
    at = world_points(volume)[4, 6, 7]
    box = Box(2, 2, 9, 9)
    assert rectangle.show(stack, 4, box, view_on(scene_builder, np.eye(3), at + (0, 0, 1.4)))
    assert not rectangle.show(stack, 4, box, view_on(scene_builder, np.eye(3), at + (0, 0, 1.7)))
    assert not rectangle.show(stack, 4, box, view_on(scene_builder, turn(90, 0, 0), at))
    assert not rectangle.actor.GetVisibility()


def test_a_picture_is_shown_in_its_colours_and_nothing_around_it(scene_builder: Any, world_points: Any) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (1, 12, 14, 3), dtype=np.uint8)
    volume = scene_builder.volume(colours, class_name="vtkMRMLVectorVolumeNode")
    stack = SliceStack(volume, "K")
    image = StackImage(stack, 0, 1, colour=True)
    image.put(0, stack.slice_values(0))
    view = view_on(scene_builder, np.eye(3), world_points(volume).reshape(-1, 3).mean(axis=0) + 0.01)
    overlay = ViewOverlay(mask_colors(RED, 0.5))
    overlay.show(image, view)
    pixels = seen(overlay)
    opaque = pixels[..., 3] == 255
    assert (pixels[~opaque] == 0).all()
    # The view has 5 pixels in a millimetre.
    assert opaque.sum() == 12 * 14 * 25
    rows, columns = (np.flatnonzero(opaque.any(axis=n)) for n in (1, 0))
    np.testing.assert_array_equal(pixels[rows[2] :: 5, columns[2] :: 5, :3][:12, :14], colours[0])
    overlay.show(None, view)
    assert not overlay.actor.GetVisibility()
