"""Windowed slices of a volume node, whose window is searched a few slices at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.intensity import choose_window
from MedSAMSlicerLib.engine.stack import ArrayStack

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.volume.slice_reader import SliceReader, displayed_window, modality_of  # noqa: E402
from MedSAMSlicerLib.scene.volume.view_plane import Plane  # noqa: E402

RANDOM = np.random.default_rng(8)
IMAGES = {
    "CT": RANDOM.integers(-1024, 1800, (12, 20, 22), dtype=np.int16),
    "MR": np.abs(RANDOM.normal(0, 300, (12, 20, 22))).astype(np.uint16),
    "normalised MR": RANDOM.normal(0, 1, (12, 20, 22)).astype(np.float32),
    "nearly binary": (RANDOM.random((12, 20, 22)) > 0.5).astype(np.uint8) * 7,
    "small negative values": np.clip(RANDOM.normal(50, 40, (12, 20, 22)), -4, None),
    "below zero": -np.abs(RANDOM.normal(50, 40, (12, 20, 22))),
}


def reader_of(scene_builder: Any, voxels: np.ndarray, wanted: str = "auto", **options: Any) -> SliceReader:
    return SliceReader(scene_builder.volume(voxels), lambda: wanted, **options)


@pytest.mark.parametrize("wanted", ["auto", "lung", "20,150"])
@pytest.mark.parametrize("modality", [None, "CT", "MR"])
@pytest.mark.parametrize("name", IMAGES)
def test_the_window_is_that_of_choose_window(scene_builder: Any, name: str, modality: str | None, wanted: str) -> None:
    reader = reader_of(scene_builder, IMAGES[name], wanted)
    if modality is not None:
        set_modality(scene_builder, reader._volume_node, modality)
    try:
        expected = choose_window(wanted, ArrayStack(IMAGES[name], (1.0, 1.0, 3.0), "K"), modality)
    except InputError as error:
        with pytest.raises(InputError, match=str(error)[:20].split("(")[0]):
            reader.advance(10)
        with pytest.raises(InputError, match=str(error)[:20].split("(")[0]):
            _ = reader.window
        assert not reader.searching
        return
    found = reader.advance(10)
    assert found == reader.window == expected
    values = np.linspace(float(IMAGES[name].min()) - 1, float(IMAGES[name].max()) + 1, 500)
    assert (found.apply(values) == expected.apply(values)).all()


def test_the_search_stops_when_its_time_is_up_and_can_be_continued(scene_builder: Any) -> None:
    now = iter(range(100))
    reader = reader_of(scene_builder, IMAGES["MR"], clock=lambda: next(now))
    assert reader.advance(3) is None and reader.searching
    calls = 1
    while reader.advance(3) is None:
        calls += 1
    assert calls == 16  # 4 passes over 12 slices, 3 slices at a time
    assert reader.window == choose_window("auto", ArrayStack(IMAGES["MR"], (1.0, 1.0, 3.0), "K"))
    ticks = next(now)
    assert reader.advance(3) == reader.window and next(now) == ticks + 1, "nothing is searched again"


def test_another_window_or_other_voxels_are_searched_again(scene_builder: Any) -> None:
    volume, wanted = scene_builder.volume(IMAGES["CT"]), ["lung"]
    reader = SliceReader(volume, lambda: wanted[0])
    assert reader.advance(10).name == "lung"
    wanted[0] = "bone"
    assert reader.window is None and reader.searching
    assert reader.advance(10).name == "bone"
    before = reader.state
    volume.GetImageData().Modified()
    assert reader.window is None and reader.state != before


def test_constant_images_and_images_without_a_number_are_rejected(scene_builder: Any) -> None:
    with pytest.raises(InputError, match="every voxel has the value 3"):
        reader_of(scene_builder, np.full((4, 5, 6), 3.0)).advance(10)
    with pytest.raises(InputError, match="no voxel of the image is a finite number"):
        reader_of(scene_builder, np.full((4, 5, 6), np.nan)).advance(10)


def test_voxels_that_are_no_numbers_are_background_and_noted(scene_builder: Any) -> None:
    broken = IMAGES["normalised MR"].copy()
    broken[5, 3, 2] = broken[6] = np.inf
    reader = reader_of(scene_builder, broken)
    assert reader.advance(10) == choose_window("auto", ArrayStack(broken, (1.0, 1.0, 3.0), "K"))
    [note] = reader.notes
    assert note == "441 voxels are NaN or infinite (the first at i 2, j 3, k 5): taken as background."
    plane = Plane("K")
    assert not reader.image(plane, plane.stack(reader._volume_node), 6).any()


def test_an_oblique_slice_beside_voxels_that_are_no_numbers_can_be_read(scene_builder: Any, turn: Any) -> None:
    broken = IMAGES["normalised MR"].copy()
    broken[:, :, 11:] = -np.inf
    reader = reader_of(scene_builder, broken)
    reader.advance(10)
    plane = Plane(None, tuple(_turned(turn).ravel()))
    image = reader.image(plane, plane.stack(reader._volume_node), 8)
    assert 0.1 < (image > 0).mean() < 0.9


def _turned(turn: Any) -> np.ndarray:
    view = np.eye(4)
    view[:3, :3] = turn(20, 0, 0)
    return view


def test_a_ct_with_an_offset_is_noted(scene_builder: Any) -> None:
    random = np.random.default_rng(8)
    means = random.choice([-1000, -800, -100, 40, 400], p=[0.3, 0.2, 0.15, 0.32, 0.03], size=(6, 40, 40))
    voxels = np.maximum(means + random.normal(0, 8, means.shape), -1000) + 1000
    reader = reader_of(scene_builder, voxels.astype(np.uint16))
    reader.advance(10)
    [note] = reader.notes
    assert "plus about 1000" in note


def test_the_displayed_window_is_read_from_the_display(scene_builder: Any) -> None:
    volume = scene_builder.volume_in("oblique")
    with pytest.raises(InputError, match="no display window"):
        displayed_window(volume)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(350.5, 40.25)
    assert displayed_window(volume) == "40.25,350.5"


def set_modality(scene_builder: Any, volume: Any, modality: str) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene_builder.scene)
    hierarchy.SetItemAttribute(hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume), "DICOM.Modality", modality)


def test_the_modality_comes_from_dicom(scene_builder: Any) -> None:
    volume = scene_builder.volume_in("oblique")
    assert modality_of(volume) is None
    set_modality(scene_builder, volume, "MR")
    assert modality_of(volume) == "MR"
