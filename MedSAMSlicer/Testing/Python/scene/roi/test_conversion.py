"""An ROI drawn anywhere, at any angle, becomes the right box of voxels, and a box becomes the right ROI."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.scene.roi.conversion import prompt_to_roi, roi_corners, roi_to_boxes, roi_to_prompt
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack

UNIT_GRID = np.eye(4)  # voxel (i, j, k) lies at (i, j, k) mm
DIMS = (40, 30, 20)


def inside_roi(roi, points: np.ndarray) -> np.ndarray:
    """What Slicer says of (N, 3) world points."""
    return np.array([roi.IsPointInROIWorld(point) for point in points.tolist()])


def test_an_upright_roi_takes_the_voxels_whose_centres_it_holds(scene_builder):
    roi = scene_builder.roi(center=(10, 12, 8), size=(6, 4, 2))
    assert roi_to_boxes(roi, UNIT_GRID, DIMS)[0] == ((7, 13), (10, 14), (7, 9))
    roi.SetSize(6.2, 3.8, 1)
    assert roi_to_boxes(roi, UNIT_GRID, DIMS)[0] == ((7, 13), (11, 13), (8, 8))


def test_two_opposite_corners_would_miss_most_of_a_turned_roi(scene_builder, turn):
    """A square turned by 45 degrees has two corners of the same height: as a box they have no height at all."""
    roi = scene_builder.roi(center=(20, 15, 10), size=(10, 10, 4), turned=turn(0, 0, 45))
    corners = roi_corners(roi)
    opposite = next((a, b) for a in corners for b in corners if np.isclose(a[1], b[1]) and a[0] < b[0] and a[2] < b[2])
    np.testing.assert_allclose(opposite[0] + opposite[1], 2 * np.array([20, 15, 10]), atol=1e-9)
    from_two = np.ceil(opposite[0]), np.floor(opposite[1])
    assert from_two[1][1] - from_two[0][1] < 1

    reach = np.sqrt(2) * 5
    expected = tuple((int(np.ceil(c - r)), int(np.floor(c + r))) for c, r in ((20, reach), (15, reach), (10, 2)))
    assert roi_to_boxes(roi, UNIT_GRID, DIMS)[0] == expected == ((13, 27), (8, 22), (8, 12))


@pytest.mark.parametrize("angles", [(0, 0, 30), (25, 0, 0), (10, 50, -70), (45, 35.264, 0)])
def test_no_voxel_inside_a_turned_roi_is_lost(scene_builder, geometry, axis, turn, world_points, angles):
    volume = scene_builder.volume_in(geometry)
    centres = world_points(volume)
    roi = scene_builder.roi(center=centres[4, 6, 7], size=(5.0, 9.0, 7.0), turned=turn(*angles))
    in_roi = inside_roi(roi, centres.reshape(-1, 3)).reshape(centres.shape[:3])
    assert in_roi.any()

    stack = SliceStack(volume, axis)
    prompt = roi_to_prompt(roi, stack).stack.checked_for(stack.shape)

    box = np.zeros(stack.shape, bool)
    first, last = prompt.slice_range
    x0, y0, x1, y1 = (int(n) for n in prompt.box3d.xyxy)
    box[first : last + 1, y0 : y1 + 1, x0 : x1 + 1] = True
    assert not (in_roi & ~stack.to_volume(box)).any()
    # and the box is no larger than the eight corners ask for
    reach = stack.world_to_slice(roi_corners(roi))
    assert (np.array([first, y0, x0]) >= np.clip(reach.min(axis=0), 0, None) - 1e-6).all()
    assert (np.array([last, y1, x1]) <= reach.max(axis=0) + 1e-6).all()
    assert list(prompt.slices) == [(first + last) // 2]


@pytest.mark.parametrize(
    "geometry",
    [
        "axes along the patient",
        "oblique",
        "axes permuted",
        "directions flipped",
        "left-handed and oblique",
        "parent rotated and moved",
    ],
)
def test_an_roi_along_the_axes_of_an_oblique_volume_is_exact(scene_builder, geometry, axis):
    """Faces half-way between voxels: which ones are in is not a matter of rounding."""
    stack = SliceStack(scene_builder.volume_in(geometry), axis)
    roi = scene_builder.roi(center=(0, 0, 0), size=(1, 1, 1))
    prompt_to_roi(roi, stack, 2, 5, Box(1, 3, 6, 7))
    prompt = roi_to_prompt(roi, stack).stack
    assert prompt.slice_range == (2, 5)
    assert prompt.box3d == Box(1, 3, 6, 7)


@pytest.mark.parametrize("where", [(0, 0, (0, 0, 0, 0)), (2, 2, (4, 5, 4, 5)), (0, 8, (0, 0, 8, 8))])
def test_boxes_of_one_voxel_and_of_the_whole_volume_come_back(scene_builder, where, axis, turn):
    first, last, edges = where
    volume = scene_builder.volume(np.zeros((9, 9, 9), np.uint8), (0.7, 1.1, 4.0), turn(15, 25, 35))
    stack = SliceStack(volume, axis)
    roi = scene_builder.roi(center=(1, 2, 3), size=(4, 5, 6), turned=turn(80, 0, 10))
    prompt_to_roi(roi, stack, first, last, Box(*edges))
    prompt = roi_to_prompt(roi, stack).stack
    assert (*prompt.slice_range, prompt.box3d.xyxy) == (first, last, edges)


def test_the_roi_is_placed_on_the_outer_faces_of_the_voxels(scene_builder, axis, turn):
    volume = scene_builder.volume(
        np.zeros((9, 9, 9), np.uint8), (0.7, 1.1, 4.0), turn(15, 25, 35), parents=[np.diag([-1, 1, 1.0])]
    )
    stack = SliceStack(volume, axis)
    roi = scene_builder.roi(center=(1, 2, 3), size=(4, 5, 6))
    prompt_to_roi(roi, stack, 1, 3, Box(2, 4, 6, 5))
    corners = stack.world_to_slice(roi_corners(roi))
    # Slicer keeps the centre of an ROI in single precision
    np.testing.assert_allclose(corners.min(axis=0), [0.5, 3.5, 1.5], atol=1e-5)
    np.testing.assert_allclose(corners.max(axis=0), [3.5, 5.5, 6.5], atol=1e-5)


def test_the_roi_of_a_left_handed_volume_is_not_mirrored(scene_builder):
    """Slicer would straighten mirrored axes when it draws them, but save them mirrored."""
    stack = SliceStack(scene_builder.volume_in("left-handed and oblique"), "K")
    roi = scene_builder.roi(center=(0, 0, 0), size=(1, 1, 1))
    prompt_to_roi(roi, stack, 1, 4, Box(2, 2, 7, 5))
    assert roi.GetObjectToNodeMatrix().Determinant() == pytest.approx(1)


def test_the_axes_of_the_roi_point_the_way_the_volumes_do(scene_builder):
    stack = SliceStack(scene_builder.volume_in("oblique"), "K")
    roi = scene_builder.roi(center=(0, 0, 0), size=(1, 1, 1))
    prompt_to_roi(roi, stack, 1, 4, Box(2, 2, 7, 5))
    for n, axis in enumerate((roi.GetXAxisWorld, roi.GetYAxisWorld, roi.GetZAxisWorld)):
        direction = [0.0, 0.0, 0.0]
        axis(direction)
        along_volume = stack.ijk_to_world[:3, n] / np.linalg.norm(stack.ijk_to_world[:3, n])
        np.testing.assert_allclose(direction, along_volume, atol=1e-9)


def test_around_sheared_voxels_the_roi_holds_them_all(scene_builder, axis):
    stack = SliceStack(scene_builder.volume_in("gantry tilt"), axis)
    roi = scene_builder.roi(center=(0, 0, 0), size=(1, 1, 1))
    prompt_to_roi(roi, stack, 3, 5, Box(4, 4, 6, 6))
    prompt = roi_to_prompt(roi, stack).stack
    assert prompt.slice_range[0] <= 3
    assert prompt.slice_range[1] >= 5
    assert Box(4, 4, 6, 6).intersection(prompt.box3d) == Box(4, 4, 6, 6)


def test_the_roi_moves_with_its_own_parent_transform(scene_builder, turn):
    moved = np.c_[turn(0, 0, 90), [20.0, 5.0, 0.0]]
    roi = scene_builder.roi(center=(3, 2, 8), size=(4, 2, 2), parents=[moved])
    # turned by 90 degrees: x of the ROI becomes y of the world, y becomes -x
    assert roi_to_boxes(roi, UNIT_GRID, DIMS)[0] == ((17, 19), (6, 10), (7, 9))


def test_an_roi_under_transforms_is_placed_in_world(scene_builder, axis, turn):
    stack = SliceStack(scene_builder.volume_in("oblique"), axis)
    parents = [np.diag([2.0, 2.0, 2.0]), np.c_[turn(30, 60, 0), [1.0, 2.0, 3.0]]]
    roi = scene_builder.roi(center=(9, 9, 9), size=(1, 1, 1), turned=turn(5, 5, 5), parents=parents)
    prompt_to_roi(roi, stack, 1, 4, Box(2, 2, 7, 5))
    prompt = roi_to_prompt(roi, stack).stack
    assert (prompt.slice_range, prompt.box3d) == ((1, 4), Box(2, 2, 7, 5))


def test_an_roi_under_a_transform_that_slants_boxes_cannot_be_placed(scene_builder):
    stack = SliceStack(scene_builder.volume_in("oblique"), "K")
    roi = scene_builder.roi(center=(0, 0, 0), size=(1, 1, 1), parents=[np.diag([3.0, 1.0, 1.0])])
    with pytest.raises(InputError, match="remove the ROI's transform"):
        prompt_to_roi(roi, stack, 1, 4, Box(2, 2, 7, 5))
    roi.SetAndObserveTransformNodeID(scene_builder.warp())
    with pytest.raises(InputError, match="harden"):
        prompt_to_roi(roi, stack, 1, 4, Box(2, 2, 7, 5))
    roi.SetAndObserveTransformNodeID(None)
    with pytest.raises(InputError, match="are reversed"):
        prompt_to_roi(roi, stack, 4, 1, Box(2, 2, 7, 5))


def test_a_bounding_box_roi_lets_go_of_its_points_when_it_is_placed(scene_builder):
    roi = scene_builder.roi(center=(0, 0, 0), size=(1, 1, 1))
    roi.SetROIType(roi.ROITypeBoundingBox)
    for point in ((0, 0, 0), (5, 5, 5), (2, 8, 1)):
        roi.AddControlPoint(point)
    stack = SliceStack(scene_builder.volume_in("oblique"), "K")
    prompt_to_roi(roi, stack, 1, 4, Box(2, 2, 7, 5))
    assert roi_to_prompt(roi, stack).stack.box3d == Box(2, 2, 7, 5)


def test_what_sticks_out_of_the_volume_is_clipped(scene_builder):
    roi = scene_builder.roi(center=(0, 28, 10), size=(10, 10, 100))
    assert roi_to_boxes(roi, UNIT_GRID, DIMS)[0] == ((0, 5), (23, 29), (0, 19))


@pytest.mark.parametrize("k", [0, 19])
def test_an_roi_that_touches_the_first_or_last_slice_includes_it(scene_builder, k):
    inwards = 1 if k == 0 else -1
    for reach in (3.0, 3.5, 4.9):  # face on the slice's centre, on the volume's face, beyond it
        roi = scene_builder.roi(center=(20, 15, k + 3 * inwards), size=(4, 4, 2 * reach))
        (_, _, (k0, k1)) = roi_to_boxes(roi, UNIT_GRID, DIMS)[0]
        assert (k0 if k == 0 else k1) == k
    rim = scene_builder.roi(center=(20, 15, k - 0.5 * inwards), size=(4, 4, 0.4))  # only the outer half of the voxel
    assert roi_to_boxes(rim, UNIT_GRID, DIMS)[0][2] == (k, k)


@pytest.mark.parametrize(("middle", "slice_index"), [(7.0, 7), (7.3, 7), (6.6, 7), (7.45, 7), (-0.4, 0), (19.4, 19)])
def test_an_roi_thinner_than_a_slice_takes_the_slice_that_it_lies_in(scene_builder, middle, slice_index):
    roi = scene_builder.roi(center=(20, 15, middle), size=(4, 4, 0.01))
    assert roi_to_boxes(roi, UNIT_GRID, DIMS)[0][2] == (slice_index, slice_index)


def test_an_roi_outside_the_volume_is_refused(scene_builder, turn):
    for center in ((-8, 15, 10), (20, 40, 10), (20, 15, 25)):
        with pytest.raises(InputError, match="ROI 'R' lies outside the volume"):
            roi_to_boxes(scene_builder.roi(center, (4, 4, 4)), UNIT_GRID, DIMS)
    # its corners, taken each for itself, would reach into the volume, but the box passes by
    beside = scene_builder.roi((-6, -6, 10), (40, 4, 4), turned=turn(0, 0, -45))
    assert not inside_roi(beside, np.argwhere(np.ones(DIMS, bool)).astype(float)).any()
    with pytest.raises(InputError, match="outside"):
        roi_to_boxes(beside, UNIT_GRID, DIMS)
    touching = scene_builder.roi((-2.5, 15, 10), (4, 4, 4))  # ends where the volume begins
    with pytest.raises(InputError, match="outside"):
        roi_to_boxes(touching, UNIT_GRID, DIMS)


def rod_beside_an_edge() -> tuple[np.ndarray, np.ndarray, tuple, np.ndarray, float]:
    """A rod that crosses the volume's edge at i = j = -0.5 aslant, one of its own edges turned to it."""
    along, inwards = np.array([1, -1, 0.7]) / np.linalg.norm([1, -1, 0.7]), np.array([1, 1, 0]) / np.sqrt(2)
    side = np.cross(along, inwards)
    axes = np.stack([along, (inwards + side) / np.sqrt(2), (side - inwards) / np.sqrt(2)], axis=1)
    return np.array([-0.5, -0.5, 10]), -inwards, (60, 4, 4), axes, 2 * np.sqrt(2)


def plate_at_a_corner() -> tuple[np.ndarray, np.ndarray, tuple, np.ndarray, float]:
    """A plate that leans against the volume's first corner, its broad face towards it."""
    outwards = -np.ones(3) / np.sqrt(3)
    axes = np.linalg.qr(np.c_[outwards, [1.0, -2.0, 0.5], [0.3, 1.0, 2.0]])[0]
    return np.full(3, -0.5), outwards, (4, 60, 60), axes, 2


def cube_on_its_tip() -> tuple[np.ndarray, np.ndarray, tuple, np.ndarray, float]:
    """A cube below the middle of the volume's first slice, a corner upwards."""
    axes = np.linalg.qr([[1.0, 0.3, 1.0], [-0.4, 1.0, 0.9], [0.8, -1.0, 1.0]])[0]
    return np.array([20, 15, -0.5]), np.array([0, 0, -1.0]), (4, 4, 4), axes, 2 * np.abs(axes[2]).sum()


@pytest.mark.parametrize("place", [rod_beside_an_edge, plate_at_a_corner, cube_on_its_tip])
def test_a_slanted_roi_just_outside_is_told_from_one_just_inside(scene_builder, place):
    contact, outwards, size, axes, reach = place()
    outside = scene_builder.roi(contact + outwards * (reach + 0.1), size, turned=axes)
    with pytest.raises(InputError, match="outside"):
        roi_to_boxes(outside, UNIT_GRID, DIMS)
    inside = scene_builder.roi(contact + outwards * (reach - 0.1), size, turned=axes)
    (i0, _), (j0, _), (k0, _) = roi_to_boxes(inside, UNIT_GRID, DIMS)[0]
    assert min(i0, j0, k0) == 0


@pytest.mark.parametrize("size", [(0, 4, 4), (4, 0, 4), (4, 4, 0), (0, 0, 0), (float("nan"), 4, 4)])
def test_an_empty_roi_is_refused(scene_builder, size):
    with pytest.raises(InputError, match="empty"):
        roi_to_boxes(scene_builder.roi((20, 15, 10), size), UNIT_GRID, DIMS)


def test_no_roi_is_refused():
    with pytest.raises(InputError, match="no ROI is selected"):
        roi_to_boxes(None, UNIT_GRID, DIMS)


def test_an_roi_that_is_inside_out_is_refused_until_it_is_placed_anew(scene_builder):
    roi = scene_builder.roi((20, 15, 10), (4, 4, 4))
    roi.SetInsideOut(True)
    with pytest.raises(InputError, match="ROI 'R' is inside out.*switch 'Inside out' off"):
        roi_to_boxes(roi, UNIT_GRID, DIMS)
    stack = SliceStack(scene_builder.volume(np.zeros(DIMS[::-1], np.int16)), "K")
    prompt_to_roi(roi, stack, 2, 3, Box(4, 5, 6, 7))
    assert roi_to_prompt(roi, stack).stack.slice_range == (2, 3)


def test_a_bounding_box_without_control_points_is_told_from_an_empty_roi(scene_builder):
    roi = scene_builder.roi((20, 15, 10), (4, 4, 4))
    roi.SetROIType(roi.ROITypeBoundingBox)
    roi.RemoveAllControlPoints()
    with pytest.raises(InputError, match="ROI 'R' is a bounding box of too few control points: place more"):
        roi_to_boxes(roi, UNIT_GRID, DIMS)
