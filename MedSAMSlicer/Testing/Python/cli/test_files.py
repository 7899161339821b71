"""Images that are more than one grey volume: frames over time, pictures, and what is noted about a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Picture

from MedSAMSlicerLib.engine.masks import dice

BOX = (18, 42, 19, 49, 1, 5)


def mask_in(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0


def over_time(phantom: Any, path: Path, shifts: tuple[int, ...]) -> Path:
    """The phantom over time, moved by so many pixels along I."""
    frames = np.stack([np.roll(phantom.voxels, shift, axis=2) for shift in shifts])
    image = sitk.GetImageFromArray(frames, isVector=False)
    image.SetSpacing((1.5, 1.5, 4.0, 1.0))
    sitk.WriteImage(image, str(path))
    return path


def test_a_frame_is_segmented(segment: Callable, phantom: Any, first_run: Any, tmp_path: Path) -> None:
    path = over_time(phantom, tmp_path / "cine.nii.gz", (9, 0))
    ran = segment(path, "--output", tmp_path / "out.nrrd", "--box", *BOX, "--frame", 1)
    assert (ran.status, ran.err) == (0, "")
    np.testing.assert_array_equal(mask_in(tmp_path / "out.nrrd"), mask_in(first_run.output))
    ran = segment(path, "--output", tmp_path / "other.nrrd", "--box", *BOX)
    assert ran.status == 2 and "2 frames" in ran.err and "--frame all" in ran.err
    for wrong in ("2", "-1", "x"):
        ran = segment(path, "--output", tmp_path / "other.nrrd", "--box", *BOX, f"--frame={wrong}")
        assert ran.status == 2 and f"frame {wrong}" in ran.err
    assert not (tmp_path / "other.nrrd").exists()


def test_the_box_is_carried_from_frame_to_frame(segment: Callable, phantom: Any, tmp_path: Path) -> None:
    """The object moves out of the box that was given, and the box follows it."""
    shifts = (0, 3)
    path = over_time(phantom, tmp_path / "cine.nrrd", shifts)
    ran = segment(
        path, "--output", tmp_path / "t.seg.nrrd", "--report", tmp_path / "r.json", "--box", *BOX, "--frame", "all"
    )
    assert (ran.status, ran.err) == (0, "")
    for frame, shift in enumerate(shifts):
        mask = mask_in(tmp_path / f"t_frame00{frame}.seg.nrrd")
        assert dice(mask, np.roll(phantom.truth, shift, axis=2)) > 0.75
        assert mask[:, :, BOX[1] + 1 :].any() == (frame > 0)
        assert json.loads((tmp_path / f"r_frame00{frame}.json").read_text())["volume_ml"] > 0
    assert not (tmp_path / "t.seg.nrrd").exists()


def test_a_colour_picture_gets_a_mask_of_its_size(
    medsam_slicer: Callable, litemedsam_weights: Path, tmp_path: Path
) -> None:
    rows, columns = np.indices((90, 120))
    truth = ((rows - 40) / 20) ** 2 + ((columns - 60) / 28) ** 2 <= 1
    noise = np.random.default_rng(3).normal(0, 6, (90, 120, 3))
    colours = np.where(truth[..., None], [190, 90, 80], [110, 60, 60]) + noise
    Picture.fromarray(colours.clip(0, 255).astype(np.uint8)).save(tmp_path / "polyp.png")
    ran = medsam_slicer(
        *("segment", tmp_path / "polyp.png", "--output", tmp_path / "mask.png", "--preview", tmp_path / "preview.png"),
        *("--report", tmp_path / "report.json", "--slice", 0, "--rect", 31, 89, 19, 61),
    )
    assert (ran.status, ran.err) == (0, "")
    assert dice(np.asarray(Picture.open(tmp_path / "mask.png")) > 0, truth) > 0.9
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["window"]["name"] == "colour"
    assert [note for note in report["notes"] if "size of a pixel" in note]
    assert ran.out.count("size of a pixel") == 1
    ran = medsam_slicer(
        *("segment", tmp_path / "polyp.png", "--output", tmp_path / "x.png", "--window", "lung"),
        *("--slice", 0, "--rect", 31, 89, 19, 61),
    )
    assert ran.status == 2 and "no window" in ran.err


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_voxels_that_are_no_numbers(
    segment: Callable, phantom: Any, first_run: Any, tmp_path: Path, where: str
) -> None:
    voxels = phantom.voxels.astype(np.float32)
    voxels[3, 30, 25 if where == "inside" else 3] = np.nan
    sitk.WriteImage(phantom.image(voxels), str(tmp_path / "scan.nii"))
    ran = segment(
        tmp_path / "scan.nii", "--output", tmp_path / "out.nrrd", "--report", tmp_path / "r.json", "--box", *BOX
    )
    if where == "inside":
        assert ran.status == 2 and "in the prompt on slice 3" in ran.err and not (tmp_path / "out.nrrd").exists()
    else:
        assert (ran.status, ran.err) == (0, "")
        (note,) = json.loads((tmp_path / "r.json").read_text())["notes"]
        assert note.startswith("1 voxel is NaN or infinite") and ran.out.count(note) in (0, 1)
        assert dice(mask_in(tmp_path / "out.nrrd"), mask_in(first_run.output)) > 0.95


def test_a_long_name_is_cut_and_that_is_noted(segment: Callable, first_run: Any, tmp_path: Path) -> None:
    ran = segment(
        *(first_run.image, "--output", tmp_path / "Größe 肿瘤 1.seg.nrrd", "--box", *BOX),
        *("--segment-name", "肿瘤 " * 40, "--report", tmp_path / "r.json"),
    )
    assert (ran.status, ran.err) == (0, "")
    header = sitk.ReadImage(str(tmp_path / "Größe 肿瘤 1.seg.nrrd"))
    assert header.GetMetaData("Segment0_Name") == ("肿瘤 " * 40)[:64].strip()
    assert "cut to 64 characters" in json.loads((tmp_path / "r.json").read_text())["notes"][-1]
