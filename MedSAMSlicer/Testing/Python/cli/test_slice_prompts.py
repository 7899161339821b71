"""``--point`` and ``--mask``: they reach models that take them, and are refused in one line where they cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.cli.main import main
from MedSAMSlicerLib.engine.serving import service
from support.component_model import load_component_model
from support.shapes import ellipsoid

pytestmark = pytest.mark.slow

SHAPE = (7, 64, 90)
LEFT, RIGHT = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
# Upright objects on slices 1 to 5, of the same section on all of them.
LEFT[1:6] = ellipsoid((1, *SHAPE[1:]), (0, 30, 22), (1, 12, 12))
RIGHT[1:6] = ellipsoid((1, *SHAPE[1:]), (0, 30, 65), (1, 12, 12))


@pytest.fixture
def two_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image of two bright objects, and SAM-Med2D with a network that anyone can work out."""
    monkeypatch.setattr(service, "load_predictor", load_component_model)
    monkeypatch.setattr("MedSAMSlicerLib.cli.segment.find_weights", lambda *_: tmp_path / "none")
    voxels = np.where(LEFT | RIGHT, 200, 20).astype(np.int16)
    return written(tmp_path / "two.nrrd", voxels)


def written(path: Path, voxels: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 1.0, 3.0))
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def segment(two_objects: Path, tmp_path: Path) -> Callable[..., tuple[np.ndarray, dict[str, Any]]]:
    def run(*prompt: object, model: str = "sam_med2d") -> tuple[np.ndarray, dict[str, Any]]:
        output, report = tmp_path / "out.nrrd", tmp_path / "report.json"
        arguments = ["segment", two_objects, "--output", output, "--report", report, "--preview", tmp_path / "p.png"]
        arguments += ["--model", model, "--window", "110,220", "--axis", "K", "--quiet", *prompt]
        assert main([str(one) for one in arguments]) == 0
        return sitk.GetArrayFromImage(sitk.ReadImage(str(output))) > 0, json.loads(report.read_text())

    return run


def test_a_point_in_the_right_object_gives_the_right_object(segment: Any) -> None:
    mask, report = segment("--slice", 3, "--point", "65,30,+")
    assert np.array_equal(mask, RIGHT)
    assert report["prompts"]["keys"] == [{"slice": 3, "points": [{"x": 65, "y": 30, "positive": True}]}]


def test_a_rectangle_round_both_and_a_point_outside_leave_one(segment: Any) -> None:
    mask, _ = segment("--slice", 3, "--rect", 5, 85, 10, 50, "--point", "22,30,-")
    assert np.array_equal(mask, RIGHT)


def test_points_on_further_slices_name_them(segment: Any) -> None:
    mask, report = segment("--point", "2:22,30,+", "--point", "4:22.5,30,+")
    assert np.array_equal(mask, LEFT)
    assert [key["slice"] for key in report["prompts"]["keys"]] == [2, 4]


def test_points_on_one_slice_and_a_rectangle_on_another(segment: Any) -> None:
    mask, report = segment("--point", "2:22,30,+", "--key", "4:8,36,16,44")
    assert np.array_equal(mask, LEFT)
    assert [key["slice"] for key in report["prompts"]["keys"]] == [2, 4]


def test_points_in_a_3d_box_count_on_their_slice(segment: Any) -> None:
    mask, report = segment("--box", 5, 85, 10, 50, 1, 5, "--point", "3:65,30,+")
    assert np.array_equal(mask[3], RIGHT[3])
    assert report["prompts"]["bounds"] == [5, 10, 85, 50] and report["prompts"]["reach"] == [1, 5]


def test_in_a_3d_box_points_may_lie_on_its_edge_and_negative_ones_outside(segment: Any) -> None:
    box = ["--box", 53, 77, 18, 42, 1, 5]
    mask, report = segment(*box, "--point", "3:65,30,+", "--point", "3:77.5,17.5,-", "--point", "3:22,30,-")
    assert np.array_equal(mask[3], RIGHT[3])
    assert [len(key["points"]) for key in report["prompts"]["keys"]] == [3]
    segment(*box, "--point", "3:65,30,+", "--point", "3:77.5,30,+")


def test_a_mask_and_points_on_a_slice_go_with_a_3d_box(segment: Any, tmp_path: Path) -> None:
    guess = np.zeros(SHAPE, np.uint8)
    guess[3, 28:33, 60:70] = 7
    file = written(tmp_path / "guess.nrrd", guess)
    box = ["--box", 5, 85, 10, 50, 1, 5, "--slice", 3]
    mask, report = segment(*box, "--mask", file)
    assert np.array_equal(mask[3], RIGHT[3])
    assert report["prompts"]["keys"] == [{"slice": 3, "box": [5, 10, 85, 50], "mask_pixels": 50}]
    mask, report = segment(*box, "--mask", file, "--point", "65,30,+", "--point", "22,30,-")
    assert np.array_equal(mask[3], RIGHT[3])
    assert [len(key.get("points", [])) for key in report["prompts"]["keys"]] == [2]


def test_a_mask_is_a_first_guess(segment: Any, tmp_path: Path) -> None:
    guess = np.zeros(SHAPE, np.uint8)
    guess[3, 28:33, 60:70] = 7
    mask, report = segment("--slice", 3, "--mask", written(tmp_path / "guess.nrrd", guess))
    assert np.array_equal(mask, RIGHT)
    assert report["prompts"]["keys"] == [{"slice": 3, "mask_pixels": 50}]


def test_key_masks_alone_are_final_on_their_slices_and_guide_the_others(segment: Any, tmp_path: Path) -> None:
    final = np.where(RIGHT, 2, 0).astype(np.uint8)
    final[[1, 3, 5]] = 0
    final[2, 20:25, 40:50] = 1
    file = written(tmp_path / "final.nrrd", final)
    mask, report = segment("--key-mask", file, model="litemedsam")
    assert np.array_equal(mask[[2, 4]], final[[2, 4]] > 0) and np.array_equal(mask[[3, 5]], RIGHT[[3, 5]])
    assert [key["slice"] for key in report["prompts"]["keys"]] == [2, 4]
    assert report["prompts"]["keys"][0]["key_mask_pixels"] == np.count_nonzero(final[2])
    assert [one["confidence"] for one in report["slices"] if one["index"] in (2, 4)] == [1, 1]


def test_listed_slices_of_a_key_mask_may_be_empty_and_go_with_a_3d_box(segment: Any, tmp_path: Path) -> None:
    final = np.where(LEFT, 1, 0).astype(np.uint8)
    final[5] = 0
    final[3, 30:] = 0
    file = written(tmp_path / "final.nrrd", final)
    mask, _ = segment("--box", 5, 40, 10, 50, 1, 5, "--key-mask", file, "--key-mask-slices", "3,5")
    assert np.array_equal(mask[3], final[3] > 0)
    assert not mask[5].any() and mask[4].any() and mask[2].any()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (["--point", "10,10,+"], "one prompt is needed|on which slice"),
        (["--slice", "3", "--point", "10;10"], "cannot be read: write A,B,\\+"),
        (["--slice", "3", "--point", "10,10"], "cannot be read: write A,B,\\+"),
        (["--slice", "3", "--point", "-4,10,+"], "A = -4 lies outside the volume: I runs from 0 to 89"),
        (["--slice", "3", "--point", "4,64,+"], "B = 64 lies outside the volume: J runs from 0 to 63"),
        (["--slice", "9", "--point", "4,4,+"], "slice 9 lies outside the volume"),
        (["--point", "9:4,4,+"], "slice 9 lies outside the volume"),
        (["--slice", "3", "--point", "10,10,-"], "all points are negative"),
        (["--slice", "3"], "belong together"),
        (["--key-mask", "MASK", "--key-mask-slices", "3;4"], "cannot be read: write slices with commas"),
        (["--key-mask", "MASK", "--key-mask-slices", "7"], "slice 7 lies outside the volume: K runs from 0 to 6"),
        (["--key-mask", "MASK", "--key-mask-slices", "6"], "all key masks are empty"),
        (["--key-mask", "MASK", "--slice", "3", "--rect", "5", "85", "10", "50"], "slice 3 has a key mask"),
        (["--key-mask-slices", "3"], "belong together"),
        (["--key-mask", "MASK", "--key", "3:5,85,10,50"], "one prompt is needed"),
        (["--box", "5", "85", "10", "50", "1", "5", "--slice", "3"], "--box and --slice were given"),
        (["--box", "5", "85", "10", "50", "1", "5", "--mask", "MASK"], "--slice and --mask belong together"),
        (
            ["--box", *["5", "85", "10", "50", "1", "5", "--slice", "3", "--rect", "5", "85", "10", "50"]],
            "--box and --slice with --rect were given",
        ),
        (
            ["--box", *["5", "85", "10", "50", "1", "5", "--slice", "6", "--point", "65,30,+"]],
            "key slice 6 lies outside slices 1 to 5",
        ),
        (
            ["--box", *["5", "85", "10", "50", "1", "5", "--point", "3:86,30,+"]],
            "--point 3:86,30,\\+ lies outside the 3D box: A = 86, where the box runs from 5 to 85",
        ),
        (
            ["--box", *["5", "85", "10", "50", "1", "5", "--slice", "3", "--point", "65,30,+", "--point", "65,9,+"]],
            "--point 65,9,\\+ lies outside the 3D box: B = 9, where the box runs from 10 to 50",
        ),
        (["--mask", "MASK"], "--slice and --mask belong together"),
        (["--slice", "0", "--mask", "MASK"], "is empty on slice 0 \\(it holds something on 3 to 3\\)"),
        (["--slice", "3", "--mask", "EMPTY"], "is empty: give a labelmap"),
        (["--slice", "3", "--mask", "OTHER"], "does not fit"),
        (["--slice", "3", "--mask", "missing.nrrd"], "missing.nrrd"),
        (["--slice", "3", "--mask", "MASK", "--output", "MASK"], "MASK|guess"),
        (["--slice", "3", "--point", "65,30,+", "--model", "litemedsam"], "LiteMedSAM was not trained for points"),
        (["--slice", "3", "--mask", "MASK", "--model", "medsam"], "MedSAM .* was not trained for mask"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    prompt: list[str], words: str, two_objects: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    guess = np.zeros(SHAPE, np.uint8)
    guess[3, 28:33, 60:70] = 1
    files = {
        "MASK": written(tmp_path / "guess.nrrd", guess),
        "EMPTY": written(tmp_path / "empty.nrrd", guess * 0),
        "OTHER": written(tmp_path / "other.nrrd", guess[1:]),
    }
    output = tmp_path / "out.nrrd"
    arguments = ["segment", two_objects, "--output", output, "--model", "sam_med2d", "--axis", "K", "--quiet"]
    before = files["MASK"].read_bytes()
    assert main([str(files.get(str(one), one)) for one in [*arguments, *prompt]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(words, line), line
    assert not output.exists() and files["MASK"].read_bytes() == before
