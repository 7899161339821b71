"""``medsam-slicer export``, ``margin``, ``measure`` and ``compare``, and DICOM files of ``segment``, on files made on the spot."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.provenance import PROVENANCE_TAG
from MedSAMSlicerLib.engine.review import REVIEWED_BY_TAG, REVIEWED_ON_TAG, REVIEWED_TAG, SEEN_TAG, TO_REVIEW_TAG
from MedSAMSlicerLib.handoff.rtstruct_reader import read_rtstruct
from MedSAMSlicerLib.handoff.source_series import read_source_series
from support.patient_series import ball, write_patient_series

pytestmark = pytest.mark.slow

SHAPE = (11, 40, 44)
BALL = ball(SHAPE, (5, 19, 21), 12)
OTHER = ball(SHAPE, (5, 19, 30), 5)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A CT in which the ball has 60 HU and everything else -100."""
    voxels = np.where(BALL, 60, -100)
    return write_patient_series(tmp_path / "series", voxels, orientation="oblique").folder


@pytest.fixture
def segmentation(tmp_path: Path, series: Path) -> Callable[..., Path]:
    """Writes masks as a Slicer segmentation of overlapping layers, on the grid of the series or cropped."""

    def write(name: str, masks: dict[str, np.ndarray], crop: int = 0) -> Path:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
        reference = reader.Execute()
        layers = np.stack(list(masks.values()), axis=-1).astype(np.uint8)[:, crop:, crop:]
        image = sitk.GetImageFromArray(layers, isVector=True)
        image.SetSpacing(reference.GetSpacing())
        image.SetDirection(reference.GetDirection())
        image.SetOrigin(reference.TransformIndexToPhysicalPoint((crop, crop, 0)))
        for n, segment in enumerate(masks):
            for key, text in {
                "ID": f"S{n}",
                "Name": segment,
                "Layer": n,
                "LabelValue": 1,
                "Color": "0.2 0.4 1",
            }.items():
                image.SetMetaData(f"Segment{n}_{key}", str(text))
        path = tmp_path / name
        sitk.WriteImage(image, str(path), useCompression=True)
        return path

    return write


@pytest.fixture
def both(segmentation: Callable[..., Path]) -> Path:
    return segmentation("both.seg.nrrd", {"Lung tumour": BALL, "Heart": OTHER}, crop=3)


def test_segments_are_exported_with_names_and_types(
    medsam_slicer: Callable[..., Any], series: Path, both: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    options = ["--name", "Lung tumour=GTVp", "--type", "Heart=organ", "--anatomy", "Lung tumour=Lung"]
    files = ["--rtstruct", out / "rs.dcm", "--seg", out / "seg.dcm", "--sr", out / "sr.dcm"]
    result = medsam_slicer("export", both, "--dicom", series, *options, *files)
    assert result.status == 0, result.err
    assert "GTVp (GTV, not reviewed), Heart (ORGAN, not reviewed)" in result.out
    notes = [line for line in result.out.splitlines() if line.startswith("Note")]
    assert len(notes) == 2 and all("no record of model and prompts" in note for note in notes)
    assert "GTVp" in notes[0] and "Heart" in notes[1]
    description = pydicom.dcmread(out / "rs.dcm").StructureSetROISequence[0].ROIDescription
    assert description == "origin not recorded; not reviewed"
    tumour, heart = read_rtstruct(out / "rs.dcm", read_source_series(series))
    np.testing.assert_array_equal(tumour.mask, BALL)
    np.testing.assert_array_equal(heart.mask, OTHER)
    report = str(pydicom.dcmread(out / "sr.dcm"))
    assert "Hounsfield unit" in report and "GTVp" in report


def test_names_that_break_rules_are_kept_and_warned_of(
    medsam_slicer: Callable[..., Any], series: Path, both: Path, tmp_path: Path
) -> None:
    result = medsam_slicer(
        "export",
        both,
        "--dicom",
        series,
        "--segment",
        "Lung tumour",
        "--rtstruct",
        tmp_path / "rs.dcm",
        "--reviewed-by",
        "Doe",
        "--reviewed-on",
        "20260301",
    )
    assert result.status == 0
    assert "Note: 'Lung tumour' has spaces (TG-263): Lung_tumour would do" in result.out
    ds = pydicom.dcmread(tmp_path / "rs.dcm")
    [roi] = ds.StructureSetROISequence
    assert roi.ROIName == "Lung tumour" and roi.ROIDescription.endswith("reviewed by Doe on 2026-03-01")


def test_the_review_that_slicer_saved_is_exported(
    medsam_slicer: Callable[..., Any], series: Path, both: Path, tmp_path: Path
) -> None:
    image = sitk.ReadImage(str(both))
    to_review, seen, said = TO_REVIEW_TAG, SEEN_TAG, REVIEWED_TAG
    for tags, review in (
        (f"{to_review}:V.K3 V.K4|{seen}:V.K3", "not reviewed"),
        (f"{to_review}:V.K3 V.K4|{seen}:V.K3 V.K4", "reviewed"),
        (f"{to_review}:V.K3 V.K4|{seen}:V.K3 V.K4|{said}:no", "not reviewed"),
        (f"{said}:yes|{REVIEWED_BY_TAG}:Doe|{REVIEWED_ON_TAG}:3.4.26", "reviewed by Doe on 3.4.26"),
        (f"{PROVENANCE_TAG}:model m", "computer-generated, not reviewed"),
    ):
        image.SetMetaData("Segment0_Tags", tags)
        sitk.WriteImage(image, str(tmp_path / "saved.seg.nrrd"))
        arguments = ("export", tmp_path / "saved.seg.nrrd", "--dicom", series, "--rtstruct", tmp_path / "rs.dcm")
        assert medsam_slicer(*arguments).status == 0
        first, second = pydicom.dcmread(tmp_path / "rs.dcm").StructureSetROISequence
        assert first.ROIDescription.endswith(f"; {review}") and second.ROIDescription.endswith("; not reviewed")


def test_a_structure_set_and_a_seg_are_exported_again(
    medsam_slicer: Callable[..., Any], series: Path, both: Path, tmp_path: Path
) -> None:
    first, seg, second = (tmp_path / name for name in ("rs.dcm", "seg.dcm", "again.dcm"))
    assert medsam_slicer("export", both, "--dicom", series, "--rtstruct", first, "--seg", seg).status == 0
    for source in (first, seg):
        assert medsam_slicer("export", source, "--dicom", series, "--rtstruct", second, "--quiet").status == 0
        for segment, mask in zip(read_rtstruct(second, read_source_series(series)), (BALL, OTHER), strict=True):
            np.testing.assert_array_equal(segment.mask, mask)


def test_a_segmentation_on_another_grid_is_resampled_and_it_says_so(
    medsam_slicer: Callable[..., Any], series: Path, both: Path, tmp_path: Path
) -> None:
    image = sitk.ReadImage(str(both))
    fine = sitk.Expand(sitk.VectorIndexSelectionCast(image, 0), [2, 2, 1], sitk.sitkNearestNeighbor)
    sitk.WriteImage(fine, str(tmp_path / "fine.nrrd"))
    result = medsam_slicer(
        "export", tmp_path / "fine.nrrd", "--dicom", series, "--name", "GTVp", "--rtstruct", tmp_path / "rs.dcm"
    )
    assert result.status == 0, result.err
    assert "Note: fine was resampled" in result.out
    [segment] = read_rtstruct(tmp_path / "rs.dcm", read_source_series(series))
    assert segment.name == "GTVp" and dice(segment.mask, BALL) > 0.97
    roi = pydicom.dcmread(tmp_path / "rs.dcm").StructureSetROISequence[0]
    assert "resampled to the series" in roi.ROIDescription


def test_a_margin_leaves_out_other_segments(
    medsam_slicer: Callable[..., Any], both: Path, segmentation: Callable[..., Path], tmp_path: Path
) -> None:
    bone = np.zeros(SHAPE, bool)
    bone[:, :, 30:] = True
    heart = segmentation("bone.seg.nrrd", {"Bone": bone})
    out = tmp_path / "ptv.seg.nrrd"
    arguments = ["--segment", "Lung tumour", "--margin", "5", "--name", "PTV_6000"]
    result = medsam_slicer("margin", heart, both, *arguments, "--avoid", "Bone", "--output", out)
    assert result.status == 0, result.err
    assert "PTV_6000" in result.out and "reaches the edge of the image" in result.out
    image = sitk.ReadImage(str(out))
    grown = sitk.GetArrayFromImage(image).astype(bool)
    assert "TG-263" not in result.out
    spaced = medsam_slicer("margin", both, *arguments[:-1], "PTV 60 Gy", "--output", out)
    assert "Note: 'PTV 60 Gy' has spaces (TG-263): PTV_6000 would do" in spaced.out
    assert grown[BALL].all() and not (grown & bone & ~BALL).any()
    assert grown[5, 19, 21 - 12 - 5] and not grown[5, 19, 21 - 12 - 7]  # 5 mm are 5.6 pixels
    assert "Lung tumour with a margin of 5 mm" in image.GetMetaData("Segment0_Tags")


def test_measurements_are_written_as_csv_and_json(
    medsam_slicer: Callable[..., Any], series: Path, both: Path, tmp_path: Path
) -> None:
    table, numbers = tmp_path / "m.csv", tmp_path / "m.json"
    result = medsam_slicer("measure", both, "--dicom", series, "--output", table)
    assert result.status == 0, result.err
    assert "volume_ml" in result.out and "Lung tumour" in result.out
    tumour, heart = csv.DictReader(table.open())
    assert float(tumour["volume_ml"]) == pytest.approx(BALL.sum() * 0.9 * 0.9 * 3 / 1000, rel=1e-4)
    assert (tumour["unit"], float(tumour["mean"]), float(tumour["sd"])) == ("HU", 60, 0)
    assert float(tumour["longest_mm"]) == pytest.approx(2 * 12 * 0.9, abs=0.9)
    assert "below 10 mm" in heart["notes"]
    numbered = read_source_series(series).slices[int(tumour["slice"])].InstanceNumber
    assert tumour["instance"] == str(numbered) and "instance" in result.out
    assert medsam_slicer("measure", both, "--segment", "Heart", "--output", numbers, "--quiet").out == ""
    [entry] = json.loads(numbers.read_text())
    assert entry["segment"] == "Heart" and entry["parts"] == 1 and "mean" not in entry and "instance" not in entry


def test_two_segmentations_are_compared(
    medsam_slicer: Callable[..., Any], both: Path, segmentation: Callable[..., Path], tmp_path: Path
) -> None:
    smaller = segmentation("second.seg.nrrd", {"Lung tumour": ball(SHAPE, (5, 19, 21), 8)})
    out = tmp_path / "c.json"
    result = medsam_slicer("compare", both, smaller, "--output", out)
    assert result.status == 0, result.err
    tumour, heart = json.loads(out.read_text())["segments"]
    assert tumour["dsc"] == pytest.approx(dice(BALL, ball(SHAPE, (5, 19, 21), 8)))
    assert heart["dsc"] is None and heart["notes"] == ["only in the first"]
    assert medsam_slicer("compare", both, smaller, "--recist", "--segment", "Lung tumour", "--output", out).status == 0
    [targets] = json.loads(out.read_text())["targets"]
    assert targets["response"] == "PR" and targets["diameter_change_pct"] == pytest.approx(-33, abs=3)


def test_lesions_that_are_gone_are_a_complete_response(
    medsam_slicer: Callable[..., Any], both: Path, segmentation: Callable[..., Path], tmp_path: Path
) -> None:
    nothing = segmentation("second.seg.nrrd", {"Lung tumour": BALL & False})
    out = tmp_path / "c.json"
    result = medsam_slicer("compare", both, nothing, "--recist", "--output", out)
    assert result.status == 0, result.err
    assert "empty and left out: Lung tumour" in result.out
    [targets] = json.loads(out.read_text())["targets"]
    assert targets["response"] == "CR" and targets["diameter_mm_2"] == 0


def test_the_only_segments_of_two_files_are_compared_whatever_they_are_called(
    medsam_slicer: Callable[..., Any], both: Path, segmentation: Callable[..., Path], tmp_path: Path
) -> None:
    """Labelmaps are called like their files."""
    for name, mask in {"before.nrrd": BALL, "after.nrrd": ball(SHAPE, (5, 19, 21), 8)}.items():
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing((0.9, 0.9, 3.0))
        sitk.WriteImage(image, str(tmp_path / name))
    out = tmp_path / "c.json"
    result = medsam_slicer("compare", tmp_path / "before.nrrd", tmp_path / "after.nrrd", "--recist", "--output", out)
    assert result.status == 0, result.err
    note = "before of the first is compared with after of the second"
    [lesion] = json.loads(out.read_text())["segments"]
    [targets] = json.loads(out.read_text())["targets"]
    assert lesion["notes"][0].startswith(note) and note in result.out
    assert targets["response"] == "PR" and targets["notes"] == []
    assert medsam_slicer("compare", tmp_path / "before.nrrd", tmp_path / "after.nrrd", "--output", out).status == 0
    [lesion] = json.loads(out.read_text())["segments"]
    assert lesion["dsc"] == pytest.approx(dice(BALL, ball(SHAPE, (5, 19, 21), 8)))

    # An empty segment is one, too: here it tells that the tumour is gone and the other lesion is new.
    before = segmentation("first.seg.nrrd", {"Lung tumour": BALL})
    after = segmentation("second.seg.nrrd", {"Lung tumour": BALL & False, "Rib": OTHER})
    assert medsam_slicer("compare", before, after, "--recist", "--output", out).status == 0
    [targets] = json.loads(out.read_text())["targets"]
    assert targets["response"] == "PD" and "new lesions: Rib" in targets["notes"]


def without_contours(structure_set: Path, *names: str) -> None:
    """Write a structure set again without the contours of these structures, as planning systems leave them."""
    ds = pydicom.dcmread(structure_set)
    numbers = {roi.ROINumber for roi in ds.StructureSetROISequence if roi.ROIName in names}
    for roi in ds.ROIContourSequence:
        if roi.ReferencedROINumber in numbers:
            del roi.ContourSequence
    ds.save_as(structure_set)


def test_targets_without_contours_in_a_later_structure_set_are_gone(
    medsam_slicer: Callable[..., Any],
    series: Path,
    both: Path,
    tmp_path: Path,
    refused: Callable[..., AbstractContextManager[Any]],
) -> None:
    rs, later, out = tmp_path / "rs.dcm", tmp_path / "later.dcm", tmp_path / "c.json"
    for path in (rs, later):
        assert medsam_slicer("export", both, "--dicom", series, "--rtstruct", path).status == 0

    def compared() -> tuple[list[Any], Any, str]:
        result = medsam_slicer("compare", rs, later, "--dicom", series, "--recist", "--output", out)
        assert result.status == 0, result.err
        found = json.loads(out.read_text())
        return found["segments"], found["targets"][0], result.out

    without_contours(later, "Heart")
    (tumour, heart), targets, _printed = compared()
    assert tumour["diameter_change_pct"] == 0 and targets["notes"] == ["taken as disappeared: Heart"]
    assert (heart["volume_ml_2"], heart["diameter_mm_2"], heart["diameter_change_pct"]) == (0, 0, -100)
    assert heart["notes"] == ["gone: it has no contours in the second"]
    without_contours(later, "Lung tumour")
    segments, targets, printed = compared()
    assert targets["response"] == "CR" and targets["diameter_mm_2"] == 0
    assert len(segments) == 2 and "gone: it has no contours" in printed
    with refused("later.dcm is empty") as run:
        run("compare", rs, later, "--dicom", series)

    # What cannot be read is not taken as gone.
    assert medsam_slicer("export", both, "--dicom", series, "--rtstruct", later).status == 0
    ds = pydicom.dcmread(later)
    for contour in ds.ROIContourSequence[1].ContourSequence:
        contour.ContourGeometricType = "OPEN_PLANAR"
    ds.save_as(later)
    with refused("Heart of the second segmentation could not be read") as run:
        run("compare", rs, later, "--dicom", series, "--recist")
    assert medsam_slicer("compare", rs, later, "--dicom", series, "--recist", "--segment", "Lung tumour").status == 0


def test_what_makes_two_times_hard_to_compare_is_noted(
    medsam_slicer: Callable[..., Any], series: Path, both: Path, tmp_path: Path
) -> None:
    def compared(*options: object) -> str:
        result = medsam_slicer("compare", both, both, "--recist", "--dicom", series, *options)
        assert result.status == 0, result.err
        return str(result.out)

    assert "Note" not in compared()
    other = write_patient_series(tmp_path / "other", np.where(BALL, 60, -100), orientation="oblique", PatientID="P-18")
    out = compared("--dicom-second", other.folder)
    assert "different patient IDs" in out and "P-18" not in out

    thin = sitk.GetImageFromArray(BALL.astype(np.uint8))
    thin.SetSpacing((0.9, 0.9, 0.5))
    sitk.WriteImage(thin, str(tmp_path / "thin.nrrd"))
    result = medsam_slicer("compare", both, tmp_path / "thin.nrrd", "--recist")
    assert "those along K were taken" in result.out and "lie at an angle" in result.out
    stated = medsam_slicer("measure", tmp_path / "thin.nrrd", "--axis", "J")
    assert "along K" not in stated.out and " J" in stated.out


def test_a_frame_of_a_series_is_chosen(
    medsam_slicer: Callable[..., Any], tmp_path: Path, refused: Callable[..., AbstractContextManager[Any]]
) -> None:
    uids = {f"{level}InstanceUID": f"1.2.3.{n}" for n, level in enumerate(("Study", "Series"), start=1)}
    four = tmp_path / "four"
    for time, value in enumerate((20, 70)):
        write_patient_series(
            four / str(time),
            np.where(BALL, value, -100),
            TemporalPositionIdentifier=time + 1,
            FrameOfReferenceUID="1.2.3.4",
            **uids,
        )
    labelmap = sitk.GetImageFromArray(BALL.astype(np.uint8))
    labelmap.SetSpacing((0.9, 0.9, 3.0))
    labelmap.SetOrigin((-31.5, 12.25, -140.125))
    sitk.WriteImage(labelmap, str(tmp_path / "GTVp.nrrd"))
    out = tmp_path / "m.json"
    arguments = ("measure", tmp_path / "GTVp.nrrd", "--dicom", four, "--output", out)
    with refused("2 frames") as run:
        run(*arguments)
    assert medsam_slicer(*arguments, "--frame", 1).status == 0
    [entry] = json.loads(out.read_text())
    assert entry["mean"] == 70 and entry["slice_mm"] == pytest.approx(3)


def test_bad_input_is_refused_in_one_line(
    refused: Callable[..., AbstractContextManager[Any]],
    series: Path,
    both: Path,
    segmentation: Callable[..., Path],
    tmp_path: Path,
) -> None:
    empty = segmentation("empty.seg.nrrd", {"A": np.zeros(SHAPE, bool)})
    partly = segmentation("partly.seg.nrrd", {"A": BALL, "B": np.zeros(SHAPE, bool)})
    elsewhere = sitk.ReadImage(str(both))
    elsewhere.SetOrigin((500, 500, 500))
    sitk.WriteImage(elsewhere, str(tmp_path / "elsewhere.seg.nrrd"))
    scan = tmp_path / "scan.nrrd"
    sitk.WriteImage(
        sitk.Cast(sitk.GradientMagnitude(sitk.VectorIndexSelectionCast(elsewhere, 0)), sitk.sitkFloat32), scan
    )
    far = tmp_path / "elsewhere.seg.nrrd"
    gap = write_patient_series(tmp_path / "gap", np.random.default_rng(0).integers(0, 9, (5, 8, 8))).folder
    (gap / "002.dcm").unlink()
    rs, csv_file = tmp_path / "rs.dcm", tmp_path / "m.csv"
    to_rs = ["--dicom", series, "--rtstruct", rs]
    for arguments, mentions in (
        (("export", both, "--dicom", series), ("--rtstruct, --seg or --sr",)),
        (("export", both, "--dicom", series, "--sr", rs), ("--sr", "add --seg")),
        (("export", both, *to_rs, "--reviewed-on", "soon"), ("soon", "YYYY-MM-DD")),
        (("export", both, *to_rs, "--reviewed-on", "2026-02-30"), ("YYYY-MM-DD",)),
        (("export", both, *to_rs, "--reviewed-on", "29990101"), ("in the future",)),
        (("export", both, *to_rs, "--anatomy", "Heart=Heart"), ("--anatomy", "add --seg")),
        (("export", both, "--dicom", gap, "--rtstruct", rs), ("misses 1 slice",)),
        (("export", both, "--dicom", tmp_path / "absent", "--rtstruct", rs), ("absent is not a folder",)),
        (("export", both, "--dicom", series, "--rtstruct", series / "rs.dcm"), ("lies in the folder that is read",)),
        (("export", both, "--dicom", series, "--rtstruct", tmp_path / "rs.nrrd"), ("ending",)),
        (("export", both, "--dicom", series, "--rtstruct", tmp_path / "no" / "rs.dcm"), ("does not exist",)),
        (("export", empty, *to_rs), ("empty.seg.nrrd is empty",)),
        (("export", partly, *to_rs), ("B is empty", "--segment")),
        (("export", far, *to_rs), ("lies outside of the series",)),
        (("export", scan, *to_rs), ("is an image",)),
        (("export", both, *to_rs, "--name", "Heart=Lung tumour"), ("taken twice",)),
        (("export", both, *to_rs, "--name", "Liver=L"), ("no segment Liver",)),
        (("export", both, *to_rs, "--name", "GTVp"), ("SEGMENT=VALUE",)),
        (("export", both, *to_rs, "--type", "Heart=BODY"), ("unknown type BODY",)),
        (("margin", both, "--margin", "5", "--output", tmp_path / "m.nrrd"), ("several segments", "--segment")),
        (
            ("margin", both, "--margin", "5", "6", "--segment", "Heart", "--output", tmp_path / "m.nrrd"),
            ("one or six",),
        ),
        (("measure", both, "--quiet"), ("--output",)),
        (("measure", both, "--output", tmp_path / "m.txt"), ("ending",)),
        (("measure", rs, "--output", csv_file), ("DICOM series: give its folder",)),
        (("compare", both, both, "--nadir", "5"), ("--recist",)),
    ):
        with refused(*mentions) as run:
            run(*arguments)


def test_dicom_options_of_segment_are_checked_first(
    refused: Callable[..., AbstractContextManager[Any]], image_file: Path, series: Path, tmp_path: Path
) -> None:
    prompt = ["--output", tmp_path / "a.seg.nrrd", "--box", 18, 42, 19, 49, 1, 5]
    with refused("DICOM series: give its folder") as run:
        run("segment", image_file, *prompt, "--rtstruct", tmp_path / "rs.dcm")
    with refused("--dicom is the series of --rtstruct and --seg") as run:
        run("segment", image_file, *prompt, "--dicom", series)
