"""The window found a few slices at a time is the window found at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.intensity import choose_window
from MedSAMSlicerLib.engine.stack import ArrayStack

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.volume.window_search import WindowSearch, displayed_window, modality_of  # noqa: E402

RANDOM = np.random.default_rng(8)
IMAGES = {
    "CT": RANDOM.integers(-1024, 1800, (12, 20, 22), dtype=np.int16),
    "MR": np.abs(RANDOM.normal(0, 300, (12, 20, 22))).astype(np.uint16),
    "normalised MR": RANDOM.normal(0, 1, (12, 20, 22)).astype(np.float32),
    "nearly binary": (RANDOM.random((12, 20, 22)) > 0.5).astype(np.uint8) * 7,
    "small negative values": np.clip(RANDOM.normal(50, 40, (12, 20, 22)), -4, None),
    "below zero": -np.abs(RANDOM.normal(50, 40, (12, 20, 22))),
}


def stack(voxels: np.ndarray) -> ArrayStack:
    return ArrayStack(voxels, (1.0, 1.0, 3.0), "K")


@pytest.mark.parametrize("wanted", ["auto", "lung", "20,150"])
@pytest.mark.parametrize("modality", [None, "CT", "MR"])
@pytest.mark.parametrize("name", IMAGES)
def test_it_is_the_same_window(name: str, modality: str | None, wanted: str) -> None:
    image = stack(IMAGES[name])
    search = WindowSearch(wanted, image, modality)
    try:
        expected = choose_window(wanted, image, modality)
    except InputError as error:
        with pytest.raises(InputError, match=str(error)[:20].split("(")[0]):
            search.advance(10)
        return
    found = search.advance(10)
    assert found == expected
    values = np.linspace(float(IMAGES[name].min()) - 1, float(IMAGES[name].max()) + 1, 500)
    assert (found.apply(values) == expected.apply(values)).all()


def test_it_stops_when_its_time_is_over_and_goes_on_later() -> None:
    now = iter(range(100))
    search = WindowSearch("auto", stack(IMAGES["MR"]), "MR", clock=lambda: next(now))
    assert search.advance(3) is None
    calls = 1
    while search.advance(3) is None:
        calls += 1
    assert calls == 12  # 3 passes over 12 slices, 3 slices at a time
    assert search.window == choose_window("auto", stack(IMAGES["MR"]), "MR")


def test_an_image_that_shows_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="every voxel has the value 3"):
        WindowSearch("auto", stack(np.full((4, 5, 6), 3.0))).advance(10)
    broken = IMAGES["normalised MR"].copy()
    broken[5, 0, 0] = np.nan
    with pytest.raises(InputError, match="slice 5"):
        WindowSearch("auto", stack(broken)).advance(10)


def test_the_displayed_window_is_read_from_the_display(scene_builder: Any) -> None:
    volume = scene_builder.volume_in("oblique")
    with pytest.raises(InputError, match="no display window"):
        displayed_window(volume)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(350.5, 40.25)
    assert displayed_window(volume) == "40.25,350.5"


def test_the_modality_comes_from_dicom(scene_builder: Any) -> None:
    volume = scene_builder.volume_in("oblique")
    assert modality_of(volume) is None
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene_builder.scene)
    hierarchy.SetItemAttribute(hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume), "DICOM.Modality", "MR")
    assert modality_of(volume) == "MR"
