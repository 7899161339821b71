"""A preview shows slices the way a radiologist expects them, and is titled with what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from MedSAMSlicerLib.engine.intensity import Window
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.io.display import display_of
from MedSAMSlicerLib.io.image import Image
from MedSAMSlicerLib.io.preview import write_preview

PLANES = {"I": "sagittal", "J": "coronal", "K": "axial"}


def tilted(degrees: float, about: str) -> np.ndarray:
    """4x4 to LPS of a volume that lies along the patient but for a tilt about one of its axes."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler(about, degrees, degrees=True).as_matrix() * (0.8, 1.1, 3.0)
    return matrix


@pytest.mark.parametrize("degrees", [0, 9, -9])
@pytest.mark.parametrize("axis", PLANES)
def test_slices_along_the_patient_or_tilted_a_little_have_the_name_of_their_plane(axis: str, degrees: float) -> None:
    for about in "xyz":
        display = display_of(tilted(degrees, about), axis)
        assert (display.plane, display.oblique) == (PLANES[axis], False)
        assert display.title == f"{PLANES[axis]} slices"


@pytest.mark.parametrize("degrees", [11, -40])
def test_slices_tilted_further_are_told_to_be_oblique_and_keep_the_nearest_letters(degrees: float) -> None:
    upright, leaning = display_of(np.eye(4), "K"), display_of(tilted(degrees, "x"), "K")
    assert leaning.title == "oblique slices, nearest to axial"
    assert leaning.letters == upright.letters == ("R", "L", "A", "P")


def test_slices_turned_within_their_plane_are_not_oblique() -> None:
    assert display_of(tilted(30, "z"), "K").title == "axial slices"


def test_the_heading_of_a_preview_says_that_its_slices_are_oblique(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    headings: list[str] = []
    suptitle = Figure.suptitle

    def recorded(figure: Figure, text: str, **options: object) -> object:
        headings.append(text)
        return suptitle(figure, text, **options)

    monkeypatch.setattr(Figure, "suptitle", recorded)
    mask = np.zeros((8, 9), bool)
    mask[3:5, 3:6] = True
    result = SliceResult(1, mask, Box(3, 3, 5, 4), 0.9, 0.9, False, True)
    for degrees in (0, 25):
        turned = tilted(degrees, "x")[:3, :3] / (0.8, 1.1, 3.0)
        image = Image(np.zeros((3, 8, 9), np.int16), (0.8, 1.1, 3.0), (0, 0, 0), turned, "CT", Path("chest.nrrd"))
        prompt = StackPrompt({1: Box(3, 3, 5, 4)})
        write_preview(tmp_path / "preview.png", image, "K", Window(-160, 240, "soft-tissue"), prompt, [result])
    assert headings == [
        "chest.nrrd: axial slices, soft-tissue (level 40, width 400)",
        "chest.nrrd: oblique slices, nearest to axial, soft-tissue (level 40, width 400)",
    ]
