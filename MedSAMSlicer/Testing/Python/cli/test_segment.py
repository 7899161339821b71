"""One command from an image and a prompt to a segmentation that lies where the object is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from MedSAMSlicerLib.handoff.rtstruct_reader import read_rtstruct
from MedSAMSlicerLib.handoff.source_series import read_source_series
from support.patient_series import write_patient_series

BOX = (18, 42, 19, 49, 1, 5)
RECT_ON_3 = (18, 42, 19, 49)
SPACING = (1.5, 1.5, 4.0)


def mask_in(path: Path) -> np.ndarray:
    """Bool (k, j, i) of a written segmentation."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0


def assert_same_grid(path: Path, image: sitk.Image) -> None:
    written = sitk.ReadImage(str(path))
    assert written.GetSize() == image.GetSize()
    np.testing.assert_allclose(written.GetSpacing(), image.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(written.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(written.GetDirection(), image.GetDirection(), atol=1e-6)


class TestTheFirstRun:
    def test_the_object_is_found_within_its_box(self, first_run: Any, phantom: Any) -> None:
        mask = mask_in(first_run.output)
        assert phantom.dice(mask) > 0.9
        i0, i1, j0, j1, k0, k1 = BOX
        mask[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1] = False
        assert not mask.any()

    def test_the_segmentation_opens_in_slicer_with_name_colour_and_place(self, first_run: Any, phantom: Any) -> None:
        slicer = pytest.importorskip("slicer", reason="needs Slicer's MRML (slicer-core)")
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetFileName(str(first_run.output))
        node = slicer.vtkMRMLSegmentationNode()
        scene = slicer.vtkMRMLScene()
        scene.AddNode(node)
        assert storage.ReadData(node)
        segmentation = node.GetSegmentation()
        assert segmentation.GetNumberOfSegments() == 1
        segment = segmentation.GetNthSegment(0)
        assert segment.GetName() == "Lung tumour"
        assert segment.GetColor() == pytest.approx((1, 0.75, 0))
        assert_same_grid(first_run.output, phantom.image())

    def test_the_report_says_what_was_done(self, first_run: Any, litemedsam_weights: Path) -> None:
        report = first_run.report
        assert report["image"] == str(first_run.image)
        assert (report["model"], report["axis"]) == (DEFAULT_MODEL, "K")
        assert report["runtime"] in ("torch", "openvino")
        assert report["device"] in ("cpu", "cuda", "mps")
        assert report["weights_sha256"] == "79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76"
        assert report["window"] == {"name": "level,width", "lower": 150, "upper": 550}
        box = [18, 19, 42, 49]
        assert report["prompts"] == {"keys": [{"slice": 3, "box": box}], "reach": [1, 5], "bounds": box}

    def test_areas_and_volume_are_those_of_the_mask_that_was_written(self, first_run: Any) -> None:
        mask = mask_in(first_run.output)
        report = first_run.report
        assert report["volume_ml"] == pytest.approx(np.count_nonzero(mask) * 1.5 * 1.5 * 4 / 1000)
        assert [entry["index"] for entry in report["slices"]] == [1, 2, 3, 4, 5]
        for entry in report["slices"]:
            assert entry["area_mm2"] == pytest.approx(np.count_nonzero(mask[entry["index"]]) * 1.5 * 1.5)
            assert set(entry) == {"index", "area_mm2", "predicted_iou", "confidence", "flagged", "interpolated"}
            assert 0 <= entry["confidence"] <= 1
            assert isinstance(entry["flagged"], bool)
        assert report["slices"][2]["predicted_iou"] > 0.8

    def test_the_seconds_add_up(self, first_run: Any) -> None:
        seconds = first_run.report["seconds"]
        assert set(seconds) == {"load", "first_result", "encode", "decode", "total"}
        parts = [seconds[part] for part in ("load", "encode", "decode")]
        assert min(parts) > 0
        assert sum(parts) <= seconds["total"]
        assert 0 < seconds["first_result"] < seconds["total"]

    def test_the_preview_is_a_picture(self, first_run: Any) -> None:
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(first_run.preview)))
        assert min(image.shape[:2]) > 400
        assert image.std() > 10


class TestFiles:
    @pytest.mark.parametrize("name", ["chest.nrrd", "chest.nii.gz", "chest.nii", "chest.mha", "chest.mhd"])
    def test_every_kind_of_image_gives_the_same_result(
        self, segment: Callable, first_run: Any, phantom: Any, tmp_path: Path, name: str
    ) -> None:
        sitk.WriteImage(phantom.image(), str(tmp_path / name))
        ran = segment(tmp_path / name, "--output", tmp_path / "out.seg.nrrd", "--box", *BOX)
        assert (ran.status, ran.err) == (0, "")
        np.testing.assert_array_equal(mask_in(tmp_path / "out.seg.nrrd"), mask_in(first_run.output))
        assert_same_grid(tmp_path / "out.seg.nrrd", phantom.image())

    def test_a_dicom_folder(
        self, segment: Callable, series: Callable[..., Path], first_run: Any, phantom: Any, tmp_path: Path
    ) -> None:
        folder = series(tmp_path / "dicom", phantom.voxels)
        ran = segment(folder, "--output", tmp_path / "out.nrrd", "--box", *BOX)
        assert (ran.status, ran.err) == (0, "")
        np.testing.assert_array_equal(mask_in(tmp_path / "out.nrrd"), mask_in(first_run.output))
        assert_same_grid(tmp_path / "out.nrrd", phantom.image())

    @pytest.mark.parametrize("name", ["out.nrrd", "out.nii.gz", "out.mha", "Out.SEG.NRRD"])
    def test_every_kind_of_output_holds_the_same_result(
        self, segment: Callable, first_run: Any, phantom: Any, tmp_path: Path, name: str
    ) -> None:
        output = tmp_path / name
        output.write_text("an older result, which is replaced")
        assert segment(first_run.image, "--output", output, "--box", *BOX).status == 0
        np.testing.assert_array_equal(mask_in(output), mask_in(first_run.output))
        assert_same_grid(output, phantom.image())

    def test_an_oblique_image_keeps_its_geometry(
        self, segment: Callable, first_run: Any, phantom: Any, tmp_path: Path
    ) -> None:
        image = phantom.image()
        turn = sitk.VersorTransform((0.36, 0.48, 0.8), 0.7).GetMatrix()
        image.SetDirection(turn)
        sitk.WriteImage(image, str(tmp_path / "oblique.nrrd"))
        ran = segment(tmp_path / "oblique.nrrd", "--output", tmp_path / "out.nrrd", "--box", *BOX)
        assert ran.status == 0, ran.err
        np.testing.assert_array_equal(mask_in(tmp_path / "out.nrrd"), mask_in(first_run.output))
        assert_same_grid(tmp_path / "out.nrrd", image)


class TestAxes:
    """The same object, stored so that its slices lie along another axis, gives the same mask, stored that way."""

    @pytest.mark.parametrize(
        ("axis", "order", "spacing", "box"),
        [
            ("I", (1, 2, 0), (4.0, 1.5, 1.5), (1, 5, 18, 42, 19, 49)),
            ("J", (1, 0, 2), (1.5, 4.0, 1.5), (18, 42, 1, 5, 19, 49)),
        ],
    )
    @pytest.mark.parametrize("how", ["as asked", "in lower case", "by itself"])
    def test_along_i_and_j(
        self,
        segment: Callable,
        first_run: Any,
        phantom: Any,
        tmp_path: Path,
        axis: str,
        order: tuple[int, ...],
        spacing: tuple[float, float, float],
        box: tuple[int, ...],
        how: str,
    ) -> None:
        if how == "as asked":
            spacing = (2.0, 2.0, 2.0)
        image = phantom.image(np.ascontiguousarray(phantom.voxels.transpose(order)), spacing)
        sitk.WriteImage(image, str(tmp_path / "image.nrrd"))
        report = tmp_path / "report.json"
        options = {"as asked": ["--axis", axis], "in lower case": ["--axis", axis.lower()], "by itself": []}[how]
        files = ["--output", tmp_path / "out.nrrd", "--report", report]
        ran = segment(tmp_path / "image.nrrd", *files, "--box", *box, *options)
        assert ran.status == 0, ran.err
        assert f"slices 1 to 5 along {axis}" in ran.out
        assert json.loads(report.read_text())["axis"] == axis
        if how != "as asked":
            np.testing.assert_array_equal(mask_in(tmp_path / "out.nrrd"), mask_in(first_run.output).transpose(order))
        # Margins are in millimetres, so another spacing may change a few voxels.
        assert phantom.dice(mask_in(tmp_path / "out.nrrd"), phantom.truth.transpose(order)) > 0.9
        assert_same_grid(tmp_path / "out.nrrd", image)


class TestExtremes:
    def test_a_box_one_voxel_thick(self, segment: Callable, phantom: Any, image_file: Path, tmp_path: Path) -> None:
        output, report = tmp_path / "out.nrrd", tmp_path / "report.json"
        ran = segment(image_file, "--output", output, "--report", report, "--box", *RECT_ON_3, 3, 3)
        assert ran.status == 0, ran.err
        mask = mask_in(output)
        assert np.flatnonzero(mask.any((1, 2))).tolist() == [3]
        assert phantom.dice(mask[3], phantom.truth[3]) > 0.9
        assert [entry["index"] for entry in json.loads(report.read_text())["slices"]] == [3]

    @pytest.mark.parametrize(
        ("first", "last"), [(1, 5), (0, 5), (1, 6), (2, 4)], ids=["both ends", "last slice", "first slice", "3 slices"]
    )
    def test_an_object_at_the_first_or_last_slice(
        self, segment: Callable, phantom: Any, tmp_path: Path, first: int, last: int
    ) -> None:
        truth = phantom.truth[first : last + 1]
        sitk.WriteImage(phantom.image(phantom.voxels[first : last + 1]), str(tmp_path / "part.nrrd"))
        low, high = max(1, first) - first, min(5, last) - first
        ran = segment(tmp_path / "part.nrrd", "--output", tmp_path / "out.nrrd", "--box", *RECT_ON_3, low, high)
        assert ran.status == 0, ran.err
        mask = mask_in(tmp_path / "out.nrrd")
        assert phantom.dice(mask, truth) > 0.9
        for end in (0, -1):
            assert mask[end].any() == truth[end].any()

    def test_nothing_found_is_said_and_not_written(
        self, segment: Callable, engine: Any, image_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = engine.segment

        def nothing(*arguments: Any) -> Any:
            for result in found(*arguments):
                result.mask[:] = False
                yield result

        monkeypatch.setattr(engine, "segment", nothing)
        ran = segment(image_file, "--output", tmp_path / "out.nrrd", "--box", *BOX)
        assert ran.status == 2
        assert "found no object" in ran.err and "level 350, width 400" in ran.err
        assert not (tmp_path / "out.nrrd").exists()


class TestPrompts:
    # Where propagation stops beyond the object is its own tests' business; here, that it comes to both ends of it.

    @pytest.mark.parametrize(("first", "last"), [(0, 6), (1, 5)])
    def test_a_rectangle_on_one_slice_finds_the_extent(
        self, segment: Callable, phantom: Any, tmp_path: Path, first: int, last: int
    ) -> None:
        sitk.WriteImage(phantom.image(phantom.voxels[first : last + 1]), str(tmp_path / "part.nrrd"))
        output, report = tmp_path / "out.nrrd", tmp_path / "report.json"
        files = [tmp_path / "part.nrrd", "--output", output, "--report", report]
        ran = segment(*files, "--slice", 3 - first, "--rect", *RECT_ON_3)
        assert ran.status == 0, ran.err
        mask = mask_in(output)[1 - first : 6 - first]
        assert mask.any((1, 2)).all()
        assert phantom.dice(mask, phantom.truth[1:6]) > 0.9
        assert json.loads(report.read_text())["prompts"] == {
            "keys": [{"slice": 3 - first, "box": [18, 19, 42, 49]}],
            "reach": None,
            "bounds": None,
        }

    def test_key_slices_steer_the_slices_between_them(
        self, segment: Callable, phantom: Any, image_file: Path, tmp_path: Path
    ) -> None:
        def around(k: int) -> list[int]:
            """A rectangle as people draw it, 4 pixels away from the object."""
            rows, columns = (np.flatnonzero(phantom.truth[k].any(axis)) for axis in (1, 0))
            return [int(edge) for edge in (columns[0] - 4, columns[-1] + 4, rows[0] - 4, rows[-1] + 4)]

        output, report = tmp_path / "out.nrrd", tmp_path / "report.json"
        keys = [part for k in (5, 1) for part in ("--key", f"{k}:{','.join(map(str, around(k)))}")]
        files = [image_file, "--output", output, "--report", report]
        ran = segment(*files, "--slice", 3, "--rect", *around(3), *keys)
        assert ran.status == 0, ran.err
        assert phantom.dice(mask_in(output)[1:6], phantom.truth[1:6]) > 0.9
        boxes = {entry["slice"]: entry["box"] for entry in json.loads(report.read_text())["prompts"]["keys"]}
        assert boxes == {k: [x0, y0, x1, y1] for k in (1, 3, 5) for x0, x1, y0, y1 in [around(k)]}

    @pytest.mark.parametrize("degrees", [0, 30])
    def test_an_roi_of_any_rotation_becomes_the_box_around_its_eight_corners(
        self,
        segment: Callable,
        phantom: Any,
        image_file: Path,
        roi_file: Callable[..., Path],
        tmp_path: Path,
        degrees: float,
    ) -> None:
        # The image's axes are those of LPS, so indices follow from millimetres by origin and spacing alone.
        origin, angle = np.array([-40.25, 20.5, 7.0]), np.radians(degrees)
        center = origin + np.array([30, 34, 3]) * SPACING
        size = np.array([37.0, 47.0, 17.0])
        along_i = np.array([np.cos(angle), np.sin(angle), 0])
        along_j = np.array([-np.sin(angle), np.cos(angle), 0])
        half = (abs(along_i) * size[0] + abs(along_j) * size[1] + np.array([0, 0, size[2]])) / 2
        first = np.ceil((center - half - origin) / SPACING).astype(int).tolist()
        last = np.floor((center + half - origin) / SPACING).astype(int).tolist()

        roi = roi_file(center.tolist(), size.tolist(), np.stack([along_i, along_j, [0, 0, 1]], axis=1))
        output, report = tmp_path / "out.nrrd", tmp_path / "report.json"
        ran = segment(image_file, "--output", output, "--report", report, "--roi", roi)

        assert (ran.status, ran.err) == (0, "")
        prompts = json.loads(report.read_text())["prompts"]
        assert prompts["reach"] == [first[2], last[2]] == [1, 5]
        assert prompts["bounds"] == [first[0], first[1], last[0], last[1]]
        assert phantom.dice(mask_in(output)) > 0.9

    def test_nothing_outside_of_a_rotated_roi_is_written(
        self,
        segment: Callable,
        phantom: Any,
        image_file: Path,
        roi_file: Callable[..., Path],
        tmp_path: Path,
    ) -> None:
        origin, angle = np.array([-40.25, 20.5, 7.0]), np.radians(45)
        # A corner of this ROI's box of voxels lies over the object, outside of the ROI.
        center = origin + np.array([22, 34, 3]) * SPACING
        size = np.array([30.0, 30.0, 17.0])
        axes = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        k, j, i = np.indices(phantom.truth.shape)
        along = (np.stack([i, j, k], axis=-1) * SPACING + origin - center) @ axes
        inside = (np.abs(along) <= size / 2 + 1e-6).all(axis=-1)

        output = tmp_path / "out.nrrd"
        roi = roi_file(center.tolist(), size.tolist(), axes)
        ran = segment(image_file, "--output", output, "--roi", roi)

        assert (ran.status, ran.err) == (0, "")
        mask = mask_in(output)
        assert mask.any() and not (mask & ~inside).any()


class TestWords:
    def test_the_summary_says_what_was_found_and_what_was_written(
        self, segment: Callable, first_run: Any, image_file: Path, tmp_path: Path
    ) -> None:
        output, report = tmp_path / "out.seg.nrrd", tmp_path / "report.json"
        ran = segment(image_file, "--output", output, "--report", report, "--box", *BOX, "--segment-name", "GTV")
        assert (ran.status, ran.err) == (0, "")
        lines = ran.out.splitlines()
        assert lines[0].startswith(f"GTV: {first_run.report['volume_ml']:.3g} ml on slices 1 to 5 along K, ")
        assert lines[-1] == f"Written: {output}, {report}"

    def test_slices_on_which_rectangles_disagree_are_named(
        self, segment: Callable, image_file: Path, tmp_path: Path
    ) -> None:
        output = tmp_path / "out.nrrd"
        whole = segment(image_file, "--output", output, "--box", *BOX, "--consensus", 2)
        assert (whole.status, whole.err) == (0, "") and "disagree" not in whole.out
        # Three pixels inside of the object: nothing but the rectangle says where it ends.
        inner = segment(image_file, "--output", output, "--box", 29, 31, 33, 35, 2, 3, "--consensus", 3)
        assert (inner.status, inner.err) == (0, "")
        assert "Rectangles disagree on 2 slices: 2, 3" in inner.out.splitlines()

    def test_quiet_says_nothing(self, segment: Callable, image_file: Path, tmp_path: Path) -> None:
        ran = segment(image_file, "--output", tmp_path / "out.nrrd", "--box", *BOX, "--quiet")
        assert (ran.status, ran.out, ran.err) == (0, "", "")
        assert (tmp_path / "out.nrrd").is_file()

    def test_a_negative_level_is_a_window_not_an_option(
        self, segment: Callable, medsam_slicer: Callable, phantom: Any, tmp_path: Path
    ) -> None:
        image, report = tmp_path / "lung.nrrd", tmp_path / "report.json"
        sitk.WriteImage(phantom.image((phantom.voxels - 1000).astype(np.int16)), str(image))
        files = [image, "--output", tmp_path / "out.nrrd", "--report", report]
        ran = medsam_slicer("segment", *files, "--box", *RECT_ON_3, 3, 3, "--window", "-650,400")
        assert ran.status == 0, ran.err
        assert json.loads(report.read_text())["window"] == {"name": "level,width", "lower": -850, "upper": -450}


def test_segment_writes_dicom_files(
    segment: Callable[..., Any], image_file: Path, phantom: Any, tmp_path: Path
) -> None:
    """The image is a file made of the series."""
    folder = write_patient_series(
        tmp_path / "series", phantom.voxels, spacing=(1.5, 1.5, 4.0), origin=(-40.25, 20.5, 7.0)
    ).folder
    out = [tmp_path / name for name in ("a.seg.nrrd", "rs.dcm", "seg.dcm")]
    result = segment(
        image_file,
        "--output",
        out[0],
        "--box",
        *(18, 42, 19, 49, 1, 5),
        "--segment-name",
        "GTVp",
        "--dicom",
        folder,
        "--rtstruct",
        out[1],
        "--seg",
        out[2],
    )
    assert result.status == 0, result.err
    [gtv] = read_rtstruct(out[1], read_source_series(folder))
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(out[0]))).astype(bool)
    np.testing.assert_array_equal(gtv.mask, mask)
    assert gtv.kind == "GTV"
    [roi] = pydicom.dcmread(out[1]).StructureSetROISequence
    for text in (
        f"model {DEFAULT_MODEL}, weights SHA-256 79d8c9dca6db",
        "box on slices",
        "computer-generated, not reviewed",
    ):
        assert text in roi.ROIDescription
